package submit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bundle is what a job bundle holds: a folder with template.yaml or .json, and if
// need be parameter_values and asset_references beside it, as submitters of
// content programs write them (https://github.com/aws-deadline/deadline-cloud, Job
// bundles). Relative paths in them lie under the bundle.
type Bundle struct {
	Template string            // path of the template
	Values   map[string]string // of its parameters
	Refs     *References
}

// ReadBundle reads the bundle in a folder, which is an absolute path.
func ReadBundle(dir string) (*Bundle, error) {
	file, err := oneOf(dir, "template")
	if err != nil {
		return nil, err
	}
	if file == "" {
		return nil, fmt.Errorf("%s is no job bundle: it has neither template.yaml nor template.json", dir)
	}
	b := &Bundle{Template: file}
	if b.Values, err = bundleValues(dir); err != nil {
		return nil, err
	}
	b.Refs, err = readReferences(dir)
	return b, err
}

// oneOf finds NAME.yaml, NAME.yml or NAME.json; "" for none of them.
func oneOf(dir, name string) (string, error) {
	found := ""
	for _, ext := range []string{".yaml", ".yml", ".json"} {
		path := filepath.Join(dir, name+ext)
		_, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return "", fmt.Errorf("read the bundle: %w", err)
		case found != "":
			return "", fmt.Errorf("the bundle has both %s and %s; remove one", filepath.Base(found), filepath.Base(path))
		default:
			found = path
		}
	}
	return found, nil
}

type parameterValues struct {
	ParameterValues []struct {
		Name  string    `yaml:"name"`
		Value yaml.Node `yaml:"value"`
	} `yaml:"parameterValues"`
}

// readStrict reads a document of a bundle, if it is there.
func readStrict(dir, name string, v any) (bool, error) {
	file, err := oneOf(dir, name)
	if err != nil || file == "" {
		return false, err
	}
	data, err := readDocument(file)
	if err != nil {
		return false, fmt.Errorf("read the bundle: %w", err)
	}
	if err := strict(data, v); err != nil {
		return false, fmt.Errorf("%s: %w", file, err)
	}
	return true, nil
}

// Bounds of a document of a bundle, which on the page a stranger has sent: bytes,
// and characters that can each begin a value.
const (
	maxDocument = 1 << 20
	maxFlow     = 100_000
)

// strict decodes YAML of known fields only.
func strict(data []byte, v any) error {
	flow := 0
	for _, b := range data {
		if b == '[' || b == '{' || b == ',' {
			flow++
		}
	}
	if flow > maxFlow {
		return fmt.Errorf("it has %d commas and brackets, and at most %d are read", flow, maxFlow)
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(v); err != nil && err != io.EOF { // an empty document says nothing
		return err
	}
	return nil
}

func readDocument(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err == nil && len(data) > maxDocument {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxDocument)
	}
	return data, err
}

// bundleValues reads parameter_values. Names with a colon speak to another
// farm's service, such as deadline:priority, and are passed over.
func bundleValues(dir string) (map[string]string, error) {
	var doc parameterValues
	if _, err := readStrict(dir, "parameter_values", &doc); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for i := range doc.ParameterValues {
		p := &doc.ParameterValues[i]
		if strings.Contains(p.Name, ":") {
			continue
		}
		text, ok := plain(&p.Value)
		if !ok {
			return nil, fmt.Errorf("parameter_values: the value of %q is neither text, nor a number, nor a list of these", p.Name)
		}
		out[p.Name] = text
	}
	return out, nil
}

// plain is a value as the text of a parameter: scalars as they are written, lists
// as JSON.
func plain(n *yaml.Node) (string, bool) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind == yaml.SequenceNode: // of a LIST parameter
		var list []any
		if n.Decode(&list) != nil {
			return "", false
		}
		data, err := json.Marshal(list)
		return string(data), err == nil
	case n.Kind != yaml.ScalarNode || n.Tag == "!!null":
		return "", false
	case n.Tag == "!!bool":
		return strings.ToLower(n.Value), true
	case n.Tag == "!!int":
		var i int64
		if strings.ContainsAny(n.Value, "xXoObB_") && n.Decode(&i) == nil {
			return strconv.FormatInt(i, 10), true
		}
	}
	return n.Value, true
}

// References are the files of a bundle that no parameter names.
type References struct {
	AssetReferences struct {
		Inputs struct {
			Filenames   []string `yaml:"filenames"`
			Directories []string `yaml:"directories"`
		} `yaml:"inputs"`
		Outputs struct {
			Directories []string `yaml:"directories"`
		} `yaml:"outputs"`
		ReferencedPaths []string `yaml:"referencedPaths"`
	} `yaml:"assetReferences"`
}

// readReferences reads asset_references, with absolute paths.
func readReferences(dir string) (*References, error) {
	r := &References{}
	if _, err := readStrict(dir, "asset_references", r); err != nil {
		return nil, err
	}
	for _, list := range [][]string{r.AssetReferences.Inputs.Filenames, r.AssetReferences.Inputs.Directories, r.AssetReferences.Outputs.Directories} {
		for i, p := range list {
			if p == "" {
				return nil, errors.New("asset_references names an empty path")
			}
			if !filepath.IsAbs(p) {
				list[i] = filepath.Join(dir, p)
			}
		}
	}
	return r, nil
}

func (r *References) roots(in *Inputs) {
	if r == nil {
		return
	}
	for _, f := range r.AssetReferences.Inputs.Filenames {
		if in.rootOf(filepath.Clean(f)) < 0 {
			in.Root(filepath.Dir(f), false)
		}
	}
	for _, d := range r.AssetReferences.Inputs.Directories {
		if in.rootOf(filepath.Clean(d)) < 0 {
			in.Root(d, false)
		}
	}
	for _, d := range r.AssetReferences.Outputs.Directories {
		in.Root(d, true)
	}
}

// files adds what is referred to. What is missing is an error only when strict.
func (r *References) files(in *Inputs, strict bool) error {
	if r == nil {
		return nil
	}
	add := func(path string, f func(string) error) error {
		err := f(path)
		if !strict && errors.Is(err, fs.ErrNotExist) {
			in.Notes = append(in.Notes, fmt.Sprintf("%s is missing and will not be sent", path))
			return nil
		}
		return err
	}
	for _, f := range r.AssetReferences.Inputs.Filenames {
		if err := add(f, in.File); err != nil {
			return fmt.Errorf("asset_references: %w", err)
		}
	}
	for _, d := range r.AssetReferences.Inputs.Directories {
		if err := add(d, in.Folder); err != nil {
			return fmt.Errorf("asset_references: %w", err)
		}
	}
	return nil
}

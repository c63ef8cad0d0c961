// Package flock is SheepIt clients for tests: each behaves on the wire as its
// generation does (docs/doors/sheepit.md), renders with a real Blender, and does
// nothing else. They are not for use.
package flock

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// Generation is how the clients of one time behave.
type Generation struct {
	Name    string
	Version string
	Agent   string // User-Agent
	Get     bool   // logs in by a query, not by a form
	Twice   bool   // doubles the slash of paths
	List    string // content type of the list of archives; "" for none
	NoBody  bool   // asks by POST without a body
	Chunks  bool   // fetches scenes in pieces, encodes the logout's "?", and says it is there after its login
	ByPath  bool   // delivers by the login's path, with an odd boundary
	Reports bool   // reports type 0 after its login
	Deletes bool   // deletes the scene at Blender's first line
	Before  string // lines that it puts before the farm's script
	After   string // and after it
	Early   string // a script that runs before the scene is read
	Asks    string // what it adds to its requests for work
}

// The generations.
var (
	Java2016 = Generation{Name: "2016", Version: "5.16270.0", Agent: "Java/1.8.0", Get: true, List: "application/x-www-form-urlencoded", ByPath: true,
		Before: "import bpy\nbpy.context.user_preferences.filepaths.temporary_directory = \"/tmp\"\n",
		After:  "import bpy\nbpy.context.user_preferences.system.compute_device_type = \"NONE\"\nbpy.context.scene.cycles.device = \"CPU\"\nbpy.context.user_preferences.system.compute_device = \"CPU\"\nbpy.context.scene.render.tile_x = 32\nbpy.context.scene.render.tile_y = 32\n"}
	Go2017   = Generation{Name: "2017", Version: "5.290.2718", Agent: "Go-http-client/1.1", Get: true, Twice: true, After: Java2016.After}
	Java2020 = Generation{Name: "2020", Version: "6.20295.0", Agent: "okhttp/4.9.0", List: "application/xml; charset=utf-8", Asks: "&ram_max=8388608&rendertime_max=-1",
		Before: "import bpy\n", After: "sheepit_set_compute_device(\"NONE\", \"CPU\", \"CPU\")\nbpy.context.scene.render.tile_x = 32\nbpy.context.scene.render.tile_y = 32\n"}
	Java2022 = Generation{Name: "2022", Version: "6.22324.0", Agent: "okhttp/4.10.0", List: "application/xml; charset=utf-8", Reports: true, Deletes: true,
		Asks:  "&network_dl=0&network_up=0&ram_max=8388608&rendertime_max=-1",
		After: "sheepit_set_compute_device(\"NONE\", \"CPU\", \"CPU\")\nimport signal\nsignal.signal(signal.SIGINT, lambda s, f: None)\n"}
	Rust2024 = Generation{Name: "2024", Version: "7.24086.0", Agent: "Rust/1.95.0", NoBody: true, Chunks: true,
		After: "print('read', flush=True)\nsheepit_set_compute_device(\"NONE\", \"CPU\", \"CPU\")\nimport signal\nsignal.signal(signal.SIGINT, lambda s, f: None)\n",
		Early: "import bpy\ndef early(*_):\n    for o in bpy.data.objects:\n        o.hide_viewport = True\nbpy.app.handlers.version_update.append(early)\n",
		Asks:  "&network_dl=0&network_up=0&ram_max=8388608&rendertime_max=0"}
	All = []Generation{Java2016, Go2017, Java2020, Java2022, Rust2024}
)

// Client is one client. It is for one goroutine.
type Client struct {
	Generation
	Server, Login, Password string
	Dir                     string // of its own

	http   *http.Client
	cookie string
	paths  map[string]string
	cached []string // MD5 of archives that it has
}

// Job is a frame as the farm gives it.
type Job struct {
	ID         string `xml:"id,attr"`
	ArchiveMD5 string `xml:"archive_md5,attr"`
	Path       string `xml:"path,attr"`
	Frame      string `xml:"frame,attr"`
	Sync       string `xml:"synchronous_upload,attr"`
	Validation string `xml:"validation_url,attr"`
	Password   string `xml:"password,attr"`
	Renderer   struct {
		MD5     string `xml:"md5,attr"`
		Command string `xml:"commandline,attr"`
	} `xml:"renderer"`
	Script string `xml:"script"`
	Chunks []struct {
		ID  string `xml:"id,attr"`
		MD5 string `xml:"md5,attr"`
	} `xml:"chunks>chunk"`
}

// Status is an answer of the protocol that is not 0.
type Status struct {
	What string
	Code int
}

func (s *Status) Error() string { return fmt.Sprintf("%s was answered with %d", s.What, s.Code) }

// do sends a request. The cookie goes back as the farm wrote it, with all that
// stands beside it, as clients of 2016 do.
func (c *Client) do(ctx context.Context, method, address, contentType string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", c.Agent)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.cookie != "" {
		req.Header.Set("Cookie", c.cookie)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if set := res.Header.Get("Set-Cookie"); set != "" {
		if c.cookie = set; !c.Get {
			c.cookie, _, _ = strings.Cut(set, ";")
		}
	}
	return res, nil
}

// document sends a request and reads the XML of its answer into v.
func (c *Client) document(ctx context.Context, method, address, contentType string, body io.Reader, v any) error {
	res, err := c.do(ctx, method, address, contentType, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if t := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || !strings.HasPrefix(t, "text/xml") {
		return fmt.Errorf("%s: %s, %s: %s", address, res.Status, t, data)
	}
	return xml.Unmarshal(data, v)
}

// address is where a kind of request goes.
func (c *Client) address(path, query string) string {
	if c.Twice {
		path = "/" + path
	}
	return c.Server + path + query
}

// Open logs in.
func (c *Client) Open(ctx context.Context) error {
	c.http = &http.Client{Timeout: 2 * time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	v := url.Values{"login": {c.Login}, "password": {c.Password}, "cpu_family": {"6"}, "cpu_model": {"85"}, "cpu_model_name": {"A processor"},
		"cpu_cores": {"2"}, "os": {"linux"}, "ram": {"16777216"}, "bits": {"64bit"}, "version": {c.Version}, "hostname": {"sheep-" + c.Name}, "extras": {""}}
	var config struct {
		Status   int    `xml:"status,attr"`
		Key      string `xml:"publickey,attr"`
		Requests []struct {
			Type string `xml:"type,attr"`
			Path string `xml:"path,attr"`
		} `xml:"request"`
	}
	var err error
	if c.Get {
		err = c.document(ctx, http.MethodGet, c.address("/server/config.php", "?"+v.Encode()), "", nil, &config)
	} else {
		v.Set("ui", "GuiText")
		v.Set("headless", "0")
		if c.Chunks {
			v.Set("headless", "false")
		}
		v.Set("hwid", "hardware of "+c.Name)
		err = c.document(ctx, http.MethodPost, c.address("/server/config.php", ""), "application/x-www-form-urlencoded", strings.NewReader(v.Encode()), &config)
	}
	if err != nil {
		return err
	}
	if config.Status != 0 {
		return &Status{"the login", config.Status}
	}
	c.paths = make(map[string]string)
	for _, r := range config.Requests {
		c.paths[r.Type] = r.Path
	}
	if !c.Get {
		c.Password = config.Key
	}
	switch {
	case c.Reports:
		return c.Report(ctx, "?type=0", "configuration")
	case c.Chunks:
		_, err = c.Beat(ctx, &Job{})
	}
	return err
}

// Ask asks for a frame.
func (c *Client) Ask(ctx context.Context) (*Job, error) {
	method, query := http.MethodGet, "?computemethod=1&cpu_cores=2"
	var body io.Reader
	if c.List != "" {
		list := "<cache>"
		for _, m := range c.cached {
			list += `<file md5="` + m + `"/>`
		}
		method, body = http.MethodPost, strings.NewReader(list+"</cache>")
	}
	if c.NoBody {
		method = http.MethodPost
	}
	query += c.Asks
	var out struct {
		Status int  `xml:"status,attr"`
		Job    *Job `xml:"job"`
	}
	if err := c.document(ctx, method, c.address(c.paths["request-job"], query), c.List, body, &out); err != nil {
		return nil, err
	}
	if out.Status != 0 {
		return nil, &Status{"a request for work", out.Status}
	}
	return out.Job, nil
}

// Deliver uploads a frame.
func (c *Client) Deliver(ctx context.Context, j *Job, name string, data []byte) error {
	boundary, address := "0123456789abcdef", ""
	head := "Content-Disposition: form-data; name=\"file\"; filename=\"" + filepath.Base(name) + "\"\r\nContent-Type: image/png\r\n"
	contentType := "multipart/form-data; boundary=" + boundary
	if c.ByPath {
		boundary = "***232404jkg4220957934FW**"
		contentType = "multipart/form-data;boundary=" + boundary
		head = "Content-Disposition: form-data; name=\"file\"; filename=\"" + name + "\"\r\n"
		address = c.address(c.paths["validate-job"], fmt.Sprintf("?job=%s&frame=%s&rendertime=3&revision=0&memoryused=131250&extras=&cores=2", j.ID, j.Frame))
	} else {
		u, err := url.QueryUnescape(j.Validation)
		if err != nil {
			return err
		}
		address = u + "&rendertime=3&memoryused=131250"
	}
	var body bytes.Buffer
	fmt.Fprintf(&body, "--%s\r\n%s\r\n", boundary, head)
	body.Write(data)
	fmt.Fprintf(&body, "\r\n--%s--\r\n", boundary)
	var out struct {
		Status int `xml:"status,attr"`
	}
	if err := c.document(ctx, http.MethodPost, address, contentType, &body, &out); err != nil {
		return err
	}
	if out.Status != 0 {
		return &Status{"a frame", out.Status}
	}
	return nil
}

// Report sends an error with a log.
func (c *Client) Report(ctx context.Context, query, log string) error {
	body := "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"farm_1.txt\"\r\nContent-Type: text/plain\r\n\r\n" + log + "\r\n--x--\r\n"
	var out struct{}
	return c.document(ctx, http.MethodPost, c.address(c.paths["error"], query), "multipart/form-data; boundary=x", strings.NewReader(body), &out)
}

// Beat sends a heartbeat for a frame and reports whether it is to go on.
func (c *Client) Beat(ctx context.Context, j *Job) (bool, error) {
	query := "?job=" + j.ID + "&frame=" + j.Frame
	switch c.Name {
	case Go2017.Name:
		query += "&rendertime=%25%21d%28float64%3D0%29&remainingtime=%25%21d%28float64%3D0%29"
	case Rust2024.Name:
		query = "?paused=false"
	default:
		query += "&rendertime=1&remainingtime=2"
	}
	var out struct {
		Status int `xml:"status,attr"`
	}
	err := c.document(ctx, http.MethodGet, c.address(c.paths["keepmealive"], query), "", nil, &out)
	return out.Status == 0, err
}

// Close logs out.
func (c *Client) Close(ctx context.Context) error {
	path := c.paths["logout"]
	if c.Chunks {
		path = strings.Replace(path, "?", "%3F", 1)
	}
	res, err := c.do(ctx, http.MethodGet, c.address(path, ""), "", nil)
	if err != nil {
		return err
	}
	if res.Body.Close(); res.StatusCode != http.StatusOK {
		return fmt.Errorf("logout: %s", res.Status)
	}
	return nil
}

// fetch downloads a file and checks its MD5.
func (c *Client) fetch(ctx context.Context, address, want string) ([]byte, error) {
	res, err := c.do(ctx, http.MethodGet, address, "", nil)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if sum := md5.Sum(data); res.StatusCode != http.StatusOK || hex.EncodeToString(sum[:]) != want {
		return nil, fmt.Errorf("%s: %s, %d bytes whose MD5 is not %s", address, res.Status, len(data), want)
	}
	return data, nil
}

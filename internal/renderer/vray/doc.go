// Package vray is what Drover knows of V-Ray Standalone: the job template, the
// command line, the lines that it prints, and the files that a scene (.vrscene)
// needs. Its facts are those that Chaos documents of the program's options.
//
// V-Ray cannot be had freely, so nothing here was tried on a real one: the tests
// use a stand-in of ours, package standin, that speaks the documented options and
// output.
package vray

import _ "embed"

// template is the OpenJD 2023-09 job template; joinStep is its second step when
// frames are cut into tiles.
//
//go:embed vray.yaml
var template string

//go:embed join.yaml
var joinStep string

// LicenceLimit is the farm-wide counter that each task of a V-Ray job takes one
// of, when there is a limit of that name: as many render nodes as there are
// licences.
const LicenceLimit = "amount.licence.vray"

// extensions are the formats that pictures are written in.
var extensions = map[string]string{
	"PNG": ".png", "JPEG": ".jpg", "OPEN_EXR": ".exr", "TIFF": ".tif", "TARGA": ".tga", "BMP": ".bmp", "HDR": ".hdr",
}

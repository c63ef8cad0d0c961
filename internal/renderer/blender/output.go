package blender

// extensions are what pictures of a format end with. The loop has the same.
var extensions = map[string]string{
	"PNG": ".png", "JPEG": ".jpg", "OPEN_EXR": ".exr", "OPEN_EXR_MULTILAYER": ".exr",
	"TIFF": ".tif", "TARGA": ".tga", "TARGA_RAW": ".tga", "BMP": ".bmp", "HDR": ".hdr",
	"WEBP": ".webp", "JPEG2000": ".jp2", "CINEON": ".cin", "DPX": ".dpx", "IRIS": ".rgb",
}

// Extension is what pictures of a format end with. Films and formats that are
// not known are rendered as PNG.
func Extension(format string) string {
	if e, ok := extensions[format]; ok {
		return e
	}
	return extensions["PNG"]
}

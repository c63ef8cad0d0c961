package swarm

import (
	"context"
	"errors"
	"net/http"

	"drover.farm/internal/archive"
	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
	"drover.farm/internal/library"
)

// The four answers of an upload ("Script distribution", Examples of responses):
// an object with one key, the tag.
type (
	rapid struct {
		DeployedInDirectory string  `json:"deployedInDirectory"`
		UploadedFileSize    int64   `json:"uploadedFileSize"` // bytes
		TmpFile             string  `json:"tmpFile"`
		TakenSeconds        int64   `json:"takenSeconds"`
		UploadedVrayVersion version `json:"uploadedVrayVersion"`
	}
	queued struct {
		QueuedAs         string `json:"queuedAs"`
		UploadedFileSize int64  `json:"uploadedFileSize"` // bytes
		TmpFile          string `json:"tmpFile"`
	}
	failed struct {
		Message string `json:"message"`
		TmpFile string `json:"tmpFile"`
	}
	existing struct {
		Message             string  `json:"message"`
		TmpFile             string  `json:"tmpFile"`
		UploadedVrayVersion version `json:"uploadedVrayVersion"`
	}
	version struct {
		RevHash string `json:"_revHash"`
		Ver     struct {
			Major   int `json:"_major"`
			Minor   int `json:"_minor"`
			Release int `json:"_release"`
		} `json:"_ver"`
	}
)

// The tags.
const (
	tagRapid    = "RapidUR"
	tagQueued   = "QueuedUR"
	tagFailed   = "FailUR"
	tagExisting = "ExistingUR"
)

// messageExisting is the document's.
const messageExisting = "V-Ray version already exists"

func versionOf(v library.VRayVersion) version {
	out := version{RevHash: v.Hash}
	out.Ver.Major, out.Ver.Minor, out.Ver.Release = v.Major, v.Minor, v.Release
	return out
}

// fault is an upload that failed before the library saw it.
type fault struct {
	status  int
	message string
}

func (f *fault) Error() string { return f.message }

// refusal says how an error is answered: all four answers have status 200, as
// Swarm's are thought to, but where a limit of this door or of its disk was met.
func refusal(err error) (status int, message string) {
	var f *fault
	var unknown *library.Unknown
	var elsewhere *library.Elsewhere
	var refused *archive.Refusal
	switch {
	case errors.As(err, &f):
		return f.status, f.message
	case errors.As(err, &unknown), errors.As(err, &elsewhere), errors.As(err, &refused):
		return http.StatusOK, err.Error()
	case errors.Is(err, archive.ErrPassword):
		return http.StatusOK, "the archive is encrypted; send it unencrypted"
	case errors.Is(err, blob.ErrFull), errors.Is(blob.AsFull(err), blob.ErrFull), farm.CodeOf(err) == farm.Full:
		return http.StatusInsufficientStorage, "there is no room for this build"
	case errors.Is(err, context.Canceled):
		return http.StatusOK, "the upload was cut off"
	case farm.CodeOf(err) == farm.Internal:
		return http.StatusInternalServerError, "the build could not be taken in; the log of the program has the details"
	case farm.CodeOf(err) == farm.Unavailable:
		return http.StatusServiceUnavailable, farm.MessageOf(err)
	}
	return http.StatusOK, farm.MessageOf(err)
}

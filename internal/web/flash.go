package web

// said is what an action that sent the browser on has to say. Only these words
// can come in an address, so that no link can put others on the page.
func said(key string) *flash {
	if text, ok := sayings[key]; ok {
		return &flash{Text: text}
	}
	return nil
}

var sayings = map[string]string{
	"saved":     "Saved.",
	"paused":    "Paused. What runs finishes; nothing new is handed out.",
	"resumed":   "The job goes on.",
	"pending":   "It is done in a few seconds. Until then it can be undone below.",
	"undone":    "Undone. The job is as it was.",
	"retried":   "They wait for a worker again.",
	"moved":     "The job goes on with that version. Frames that are done stay; failed ones can be tried again.",
	"submitted": "Submitted. Frames show here as they are finished.",
	"enabled":   "The worker is enabled.",
	"disabled":  "The worker is disabled. What it renders now finishes.",
	"removed":   "Removed.",
	"added":     "Added.",
	"password":  "The password is changed. Other sessions were ended.",
	"revoked":   "They are not valid any more.",
	"granted":   "The points are granted.",
	"published": "The build is in the library.",
	"offered":   "The build is offered; it is set aside until an operator takes it.",
	"known":     "That build was in the library already; it is used again.",
}

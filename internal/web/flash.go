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
	"saved": "Saved.",
}

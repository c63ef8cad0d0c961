package sched

import (
	"fmt"
	"strings"
)

// String is the reason as a sentence.
func (r Reason) String() string {
	switch r.Code {
	case "closed":
		return "takes no work: " + r.Have
	case "door":
		return fmt.Sprintf("joined through the door %s, the job allows only %s", r.Have, r.Want)
	case "form":
		if r.Want != "" {
			return fmt.Sprintf("joined through the door %s, which cannot carry the job: %s", r.Have, r.Want)
		}
		return fmt.Sprintf("joined through the door %s, whose workers cannot render jobs of this form", r.Have)
	case "tags":
		return fmt.Sprintf("lacks the tag %s", r.Want)
	case "owner":
		return fmt.Sprintf("takes only jobs of %s", r.Have)
	case "job":
		return fmt.Sprintf("takes only the jobs %s", r.Have)
	case "amount":
		return fmt.Sprintf("needs %s %s, the worker has %s", r.Want, unit(r.Name), r.Have)
	case "attribute":
		if product, ok := renderer(r.Name); ok {
			return fmt.Sprintf("needs %s %s, the worker has %s", product, strings.TrimPrefix(r.Want, "present"), r.Have)
		}
		return fmt.Sprintf("needs %s to be %s, the worker has %s", attribute(r.Name), r.Want, r.Have)
	case "reach":
		return "cannot do this job: " + r.Have
	case "busy":
		if r.Name == "slots" {
			return "is busy: none of its slots is free just now"
		}
		return fmt.Sprintf("needs %s %s, %s is free just now", r.Want, unit(r.Name), r.Have)
	case "limit":
		return fmt.Sprintf("the limit %s is used up: needs %s, %s is free", r.Name, r.Want, r.Have)
	case "avoided":
		return "its tasks that wait failed on this worker before, and others are to try them first"
	}
	return r.Code
}

// unit is what an amount counts, in words for those of OpenJD 2023-09, section
// "Amount requirements"; others are named as they are.
func unit(name string) string {
	switch name {
	case "amount.worker.vcpu":
		return "cores"
	case "amount.worker.memory":
		return "MiB of memory"
	case "amount.worker.gpu":
		return "graphics processors"
	case "amount.worker.gpu.memory":
		return "MiB of graphics memory"
	case "amount.worker.disk.scratch":
		return "GiB of disk"
	}
	return "of " + name
}

// attribute is what an attribute tells, in words.
func attribute(name string) string {
	switch name {
	case "attr.worker.os.family":
		return "the operating system"
	case "attr.worker.cpu.arch":
		return "the processor"
	case "attr.worker.hostname":
		return "the host"
	}
	return name
}

// renderer is the product of an attribute whose values are versions of one.
func renderer(name string) (string, bool) {
	for _, prefix := range []string{"attr.renderer.", "attr.build."} {
		if product, ok := strings.CutPrefix(name, prefix); ok {
			return product, true
		}
	}
	return "", false
}

package library

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/binary"
	"strings"
)

// headSize is how much of a file is looked at to tell what it is.
const headSize = 4096

// system is what an executable runs on; the zero value is no executable.
type system struct{ os, arch string }

var script = system{Any, Any}

// systemOf reads operating system and architecture from the first bytes of an
// executable: ELF, PE, Mach-O (thin or universal), or a script.
func systemOf(head []byte) system {
	switch {
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		return elfSystem(head)
	case bytes.HasPrefix(head, []byte("MZ")):
		return peSystem(head)
	case bytes.HasPrefix(head, []byte("#!")):
		return script
	case len(head) >= 8:
		return machoSystem(head)
	}
	return system{}
}

// elfSystem reads e_ident and e_machine (System V ABI, ELF header).
func elfSystem(head []byte) system {
	if len(head) < 20 {
		return system{}
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if elf.Data(head[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	if t := elf.Type(order.Uint16(head[16:])); t != elf.ET_EXEC && t != elf.ET_DYN {
		return system{}
	}
	s := system{os: "linux"}
	switch elf.OSABI(head[elf.EI_OSABI]) {
	case elf.ELFOSABI_FREEBSD:
		s.os = "freebsd"
	case elf.ELFOSABI_NETBSD:
		s.os = "netbsd"
	case elf.ELFOSABI_OPENBSD:
		s.os = "openbsd"
	}
	machine := elf.Machine(order.Uint16(head[18:]))
	switch machine {
	case elf.EM_X86_64:
		s.arch = "x86_64"
	case elf.EM_AARCH64:
		s.arch = "arm64"
	case elf.EM_386:
		s.arch = "x86"
	default:
		s.arch = strings.ToLower(strings.TrimPrefix(machine.String(), "EM_"))
	}
	return s
}

// peSystem reads the file header that the offset at 0x3c leads to (Microsoft PE
// format, sections "MS-DOS Stub" and "COFF File Header").
func peSystem(head []byte) system {
	if len(head) < 0x40 {
		return system{}
	}
	at := int64(binary.LittleEndian.Uint32(head[0x3c:]))
	if at+6 > int64(len(head)) || string(head[at:at+4]) != "PE\x00\x00" {
		return system{}
	}
	switch binary.LittleEndian.Uint16(head[at+4:]) {
	case pe.IMAGE_FILE_MACHINE_AMD64:
		return system{"windows", "x86_64"}
	case pe.IMAGE_FILE_MACHINE_ARM64:
		return system{"windows", "arm64"}
	case pe.IMAGE_FILE_MACHINE_I386:
		return system{"windows", "x86"}
	}
	return system{}
}

// machoSystem reads a Mach-O header; a universal file runs on all
// architectures that it has, which is all there are.
func machoSystem(head []byte) system {
	order := binary.ByteOrder(binary.LittleEndian)
	switch {
	case binary.BigEndian.Uint32(head) == macho.MagicFat:
		// Java classes begin alike; their next number is a version of 45 or more.
		if n := binary.BigEndian.Uint32(head[4:]); n == 0 || n > 16 {
			return system{}
		}
		return system{"macos", Any}
	case order.Uint32(head) == macho.Magic64, order.Uint32(head) == macho.Magic32:
	default:
		return system{}
	}
	switch macho.Cpu(order.Uint32(head[4:])) {
	case macho.CpuAmd64:
		return system{"macos", "x86_64"}
	case macho.CpuArm64:
		return system{"macos", "arm64"}
	case macho.Cpu386:
		return system{"macos", "x86"}
	}
	return system{}
}

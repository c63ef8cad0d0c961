#!/bin/sh
# Starts the Blender that lies packed beside this file. It is silent until the
# scene has been read: some clients delete the scene at the first line.
root=ROOT
program=PROGRAM
payload=PAYLOAD
arch=ARCH

# Macs with Apple's processors run programs for Intel's by Rosetta 2.
if [ "$arch" = x86_64 ] && [ "$(uname -s) $(uname -m)" = 'Darwin arm64' ] && ! arch -x86_64 /usr/bin/true 2>/dev/null; then
	echo "drover: error of the machine: it runs Blender for Intel's processors only with Rosetta 2, which it lacks; to get it: softwareupdate --install-rosetta" >&2
	exit 127
fi

case $0 in
*/*) here=$(cd "${0%/*}" && pwd) ;;
*) here=$(pwd) ;;
esac
files=$here/$payload.files

# Unpacked once, whole or not at all; who comes meanwhile does it again beside.
if [ ! -d "$files" ]; then
	new=$here/.unpacking.$$
	mkdir "$new" && gzip -dc "$here/$payload" | tar -x -f - -C "$new" && [ -x "$new/$root$program" ] || {
		rm -rf "$new"
		echo "drover: error of the machine: Blender could not be unpacked in $here" >&2
		exit 127
	}
	mv "$new" "$files" 2>/dev/null && [ ! -d "$files/.unpacking.$$" ] || rm -rf "$new" "$files/.unpacking.$$"
fi

# Clients empty these or point them at themselves.
unset PYTHONHOME PYTHONPATH BLENDER_SYSTEM_RESOURCES BLENDER_SYSTEM_SCRIPTS BLENDER_SYSTEM_DATAFILES BLENDER_SYSTEM_PYTHON
unset BLENDER_USER_RESOURCES BLENDER_USER_SCRIPTS BLENDER_USER_DATAFILES BLENDER_USER_CONFIG OCIO LD_LIBRARY_PATH

quiet() {
	held=
	while IFS= read -r line || [ -n "$line" ]; do
		held=$held$line'
'
		case $line in
		'drover: the scene is open'* | 'drover: error'* | Fra:*) break ;;
		esac
	done
	printf '%s' "$held"
	exec cat
}

# Blender takes this process's place, so that the client's signals, its look at
# memory and the exit code are Blender's; what it prints goes through quiet.
pipe=${TMPDIR:-/tmp}/drover-rend.$$
rm -f "$pipe"
if mkfifo -m 600 "$pipe" 2>/dev/null || { pipe=$here/.rend.$$ && mkfifo -m 600 "$pipe"; }; then
	{ rm -f "$pipe"; quiet; } <"$pipe" &
	exec "$files/$root$program" "$@" >"$pipe" 2>&1
fi
exec "$files/$root$program" "$@"

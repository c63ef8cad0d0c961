"""What Drover's scripts inside Blender share: they move the paths of a scene to
where its files are, change its render settings, and keep what it writes within
a folder. Other scripts follow it in the same file.

It runs in Blender 2.80 to 5 and needs nothing but Blender. It is plain ASCII.
"""

import json
import os
import sys

import bpy

EXTENSIONS = {
    "PNG": ".png", "JPEG": ".jpg", "OPEN_EXR": ".exr", "OPEN_EXR_MULTILAYER": ".exr",
    "TIFF": ".tif", "TARGA": ".tga", "TARGA_RAW": ".tga", "BMP": ".bmp", "HDR": ".hdr",
    "WEBP": ".webp", "JPEG2000": ".jp2", "CINEON": ".cin", "DPX": ".dpx", "IRIS": ".rgb",
}


class WorkerFault(Exception):
    """This machine cannot render the frame; another may."""


def c_library():
    """The C library whose stdout Blender prints to, or None."""
    try:
        import ctypes
        return ctypes.CDLL("ucrtbase" if os.name == "nt" else None)
    except Exception:
        return None


LIBC = c_library()


def line_buffered():
    """Makes Blender's own lines leave at once, though they go to a pipe."""
    try:
        import ctypes
        name = "__stdoutp" if sys.platform == "darwin" else "stdout"
        LIBC.setvbuf(ctypes.c_void_p.in_dll(LIBC, name), None, 1, ctypes.c_size_t(0))
    except Exception:
        pass  # the lines come in larger pieces then


def flush():
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        LIBC.fflush(None)
    except Exception:
        pass


def say(text):
    print("drover: " + text, flush=True)


# --- files beside the scene -------------------------------------------------


def is_absolute(path):
    return path.startswith("/") or path[1:3] in (":\\", ":/") or (path.startswith("\\\\") and not path.startswith("\\\\."))


def parts_of(path, windows):
    if windows:
        path = path.replace("\\", "/")
    return [p for p in path.split("/") if p not in ("", ".")]


def normal(path):
    """path without .. in it, in slashes."""
    windows = "\\" in path or path[1:2] == ":"
    out = []
    for p in parts_of(path, windows):
        if p == ".." and out:
            out.pop()
        elif p != "..":
            out.append(p)
    lead = "" if path[1:2] == ":" else "//" if path.startswith("\\\\") else "/"
    return lead + "/".join(out)


def mapped(rules, path):
    """path under the first rule that fits, or None. Whole folders match; rules
    of Windows match in any case."""
    for rule in rules:
        windows = rule.get("source_path_format") == "WINDOWS"
        source, have = parts_of(rule["source_path"], windows), parts_of(path, windows)
        same = [p.lower() for p in have[:len(source)]] == [p.lower() for p in source] if windows else have[:len(source)] == source
        if same and (windows or path.startswith("/")):
            return os.path.join(rule["destination_path"], *have[len(source):])
    return None


def folder_of(path):
    return normal(path).rpartition("/")[0]


def original(path, owner_folder):
    """Where path lay when the job was submitted."""
    if path.startswith("//"):
        return normal(owner_folder + "/" + path[2:].replace("\\", "/"))
    if is_absolute(path):
        return normal(path)
    return normal(owner_folder + "/" + path)


def path_attributes():
    """Yields (kind, data-block or its part, attribute, owning data-block)."""
    for kind, items in (("sound", bpy.data.sounds), ("movie clip", bpy.data.movieclips), ("font", bpy.data.fonts),
                        ("volume", getattr(bpy.data, "volumes", ())), ("cache", bpy.data.cache_files), ("image", bpy.data.images)):
        for item in items:
            if kind == "image" and item.source not in {"FILE", "SEQUENCE", "MOVIE", "TILED"}:
                continue
            if getattr(item, "packed_file", None) or item.filepath in ("", "<builtin>"):
                continue
            yield kind, item, "filepath", item
    for ob in bpy.data.objects:
        for m in ob.modifiers:
            if m.type == "MESH_CACHE":
                yield "mesh cache", m, "filepath", ob
            elif m.type == "OCEAN" and m.is_cached:
                yield "ocean cache", m, "filepath", ob
            elif m.type == "FLUID" and m.fluid_type == "DOMAIN":
                yield "fluid cache", m.domain_settings, "cache_directory", ob
            elif hasattr(m, "point_cache") and m.point_cache.use_external:
                yield "point cache", m.point_cache, "filepath", ob
            elif m.type == "NODES":
                for name in ("simulation_bake_directory", "bake_directory"):
                    if getattr(m, name, ""):
                        yield "baked nodes", m, name, ob
        for p in ob.particle_systems:
            if p.point_cache.use_external:
                yield "point cache", p.point_cache, "filepath", ob
    for tree, owner in node_trees():
        for node in tree.nodes:
            if node.bl_idname in {"ShaderNodeTexIES", "ShaderNodeScript"} and node.mode == "EXTERNAL":
                yield "node file", node, "filepath", owner
    for scene in bpy.data.scenes:
        editor = scene.sequence_editor
        strips = () if editor is None else getattr(editor, "strips_all", None) or getattr(editor, "sequences_all", ())
        for strip in strips:
            if strip.type == "MOVIE":
                yield "strip", strip, "filepath", scene
            elif strip.type == "IMAGE":
                yield "strip", strip, "directory", scene


def node_trees():
    for tree in bpy.data.node_groups:
        yield tree, tree
    for items in (bpy.data.materials, bpy.data.worlds, bpy.data.lights, bpy.data.scenes):
        for item in items:
            tree = getattr(item, "node_tree", None)
            if tree:
                yield tree, item


OPTIONAL = {"fluid cache", "ocean cache", "baked nodes"}


def exists(path, item):
    if any(mark in path for mark in ("<UDIM>", "<UVTILE>")):
        return os.path.isdir(os.path.dirname(path))
    return os.path.exists(path)


class Files:
    """Moves paths of the scene from where they were to where they are."""

    def __init__(self, config):
        self.rules = config.get("rules") or []
        self.moved = 0
        self.missing = []
        # Folders of the scene and its libraries as the submitter had them.
        self.folders = {None: folder_of(config.get("original") or bpy.data.filepath)}

    def place(self, kind, item, attribute, library):
        written = getattr(item, attribute)
        if not written:
            return False
        here = bpy.path.abspath(written, library=library)
        there = mapped(self.rules, original(written, self.folders.get(library, self.folders[None])))
        if there and os.path.normpath(there) != os.path.normpath(here) and (exists(there, item) or not exists(here, item)):
            setattr(item, attribute, there)
            self.moved += 1
            here = there
        if kind not in OPTIONAL and not exists(here, item):
            self.miss(kind, item, written, here)
        return here != bpy.path.abspath(written, library=library)

    def miss(self, kind, item, written, here):
        name = getattr(item, "name", "")
        self.missing.append({"kind": kind, "name": name, "path": written})
        say("warning: missing %s %r: %s (looked for %s)" % (kind, name, written, here))

    def libraries(self):
        done = set()
        for _ in range(100):  # a library that was found may bring others
            fresh = [l for l in bpy.data.libraries if l.filepath not in done]
            if not fresh:
                return
            for lib in fresh:
                written, parent = lib.filepath, getattr(lib, "parent", None)
                self.folders[lib] = folder_of(original(written, self.folders.get(parent, self.folders[None])))
                if getattr(lib, "packed_file", None):
                    done.add(lib.filepath)
                    continue
                moved = self.place("library", lib, "filepath", parent)
                done.add(written)
                done.add(lib.filepath)
                if moved and os.path.exists(bpy.path.abspath(lib.filepath)):
                    lib.reload()
                    break  # data-blocks were replaced: look anew

    def run(self):
        self.libraries()
        for kind, item, attribute, owner in list(path_attributes()):
            try:
                self.place(kind, item, attribute, owner.library)
            except Exception as e:
                say("warning: %s %r keeps its path: %s" % (kind, getattr(item, "name", ""), e))


# --- settings of a frame ----------------------------------------------------


def set_engine(render, engine):
    twin = {"BLENDER_EEVEE": "BLENDER_EEVEE_NEXT", "BLENDER_EEVEE_NEXT": "BLENDER_EEVEE"}.get(engine)
    for name in (engine, twin):
        try:
            render.engine = name
            return
        except TypeError:
            continue
    raise WorkerFault("this Blender has no render engine %s" % engine)


def set_format(settings, wanted):
    name = wanted or settings.file_format
    if name not in EXTENSIONS:
        name = "PNG"  # films are made of pictures afterwards
    if name == settings.file_format:
        return name
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE" if name == "OPEN_EXR_MULTILAYER" else "IMAGE"
    try:
        settings.file_format = name
    except TypeError:
        raise WorkerFault("this Blender cannot write %s" % name)
    return name


def set_size(render, base, width, height):
    if not width and not height:
        return
    render.resolution_x = width or max(1, int(height * base.width / base.height + .5))
    render.resolution_y = height or max(1, int(width * base.height / base.width + .5))
    render.resolution_percentage = 100


def set_samples(scene, samples):
    if not samples:
        return
    if scene.render.engine == "CYCLES":
        scene.cycles.samples = samples
    elif hasattr(scene, "eevee"):
        scene.eevee.taa_render_samples = samples


def set_device(scene, device):
    if not device or scene.render.engine != "CYCLES":
        return
    if device == "CPU":
        scene.cycles.device = "CPU"
        return
    if device == "GPU":
        set_any_gpu(scene)
        return
    prefs = bpy.context.preferences.addons["cycles"].preferences
    try:
        prefs.compute_device_type = device
    except TypeError:
        raise WorkerFault("this Blender cannot render with %s" % device)
    getattr(prefs, "refresh_devices", prefs.get_devices)()
    found = False
    for d in prefs.devices:
        d.use = d.type == device
        found = found or d.use
    if not found:
        raise WorkerFault("this machine has no %s device" % device)
    scene.cycles.device = "GPU"


def set_any_gpu(scene):
    for kind in ("OPTIX", "CUDA", "HIP", "METAL", "ONEAPI"):
        try:
            return set_device(scene, kind)
        except WorkerFault:
            continue
    raise WorkerFault("this machine has no graphics card that Blender can use")


def find_scene(name):
    if not name:
        return (bpy.context.window.scene if bpy.context.window else None) or bpy.context.scene
    if name not in bpy.data.scenes:
        raise ValueError("the file has no scene %r; it has %s" % (name, ", ".join(repr(s.name) for s in bpy.data.scenes)))
    return bpy.data.scenes[name]


def set_camera(scene, name):
    if not name:
        return
    ob = bpy.data.objects.get(name)
    if ob is None or ob.type != "CAMERA":
        raise ValueError("the file has no camera %r; it has %s" % (name, ", ".join(repr(o.name) for o in bpy.data.objects if o.type == "CAMERA")))
    scene.camera = ob


# --- outputs ----------------------------------------------------------------


def safe_name(text, fallback):
    name = "".join(c if c.isalnum() or c in "-_.# " else "_" for c in text.replace("\\", "/").rstrip("/").rpartition("/")[2])
    return name.strip(". ")[:100] or fallback


class OutputNodes:
    """Keeps file output nodes of the compositor within the folder of a frame."""

    def __init__(self):
        self.nodes = []
        taken = set()
        for tree, owner in node_trees():
            for node in tree.nodes:
                if node.bl_idname == "CompositorNodeOutputFile":
                    name = safe_name(node.label or node.name, "output")
                    while name in taken:
                        name += "_"
                    taken.add(name)
                    old = getattr(node, "base_path", None)
                    self.nodes.append((node, name, safe_name(old if old is not None else node.file_name, name)))

    def redirect(self, folder):
        for node, name, stem in self.nodes:
            try:
                self.one(node, os.path.join(folder, name), stem)
            except Exception as e:
                node.mute = True
                say("warning: file output node %r is muted, since it cannot be redirected: %s" % (node.name, e))

    def one(self, node, folder, stem):
        if hasattr(node, "directory"):  # since Blender 5
            node.directory = folder
            node.file_name = stem
            for i, item in enumerate(node.file_output_items):
                item.name = safe_name(item.name, "output%d" % i)
            return
        layered = node.format.file_format == "OPEN_EXR_MULTILAYER"
        node.base_path = os.path.join(folder, stem if layered else "")
        for i, slot in enumerate(node.file_slots):
            slot.path = safe_name(slot.path, "output%d" % i)


class Base:
    """The settings of a scene as its file has them."""

    RENDER = ("engine", "resolution_x", "resolution_y", "resolution_percentage")
    IMAGE = ("media_type", "file_format", "color_mode", "color_depth")

    def __init__(self, scene):
        parts = [(scene.render, self.RENDER), (scene.render.image_settings, self.IMAGE), (scene, ("camera",)),
                 (getattr(scene, "cycles", None), ("samples", "device")), (getattr(scene, "eevee", None), ("taa_render_samples",))]
        self.kept = [(part, name, getattr(part, name)) for part, names in parts for name in names if hasattr(part, name)]
        self.width, self.height = scene.render.resolution_x, scene.render.resolution_y

    def restore(self):
        for part, name, value in self.kept:
            if getattr(part, name) == value:
                continue
            try:
                setattr(part, name, value)
            except TypeError:
                pass  # a depth that goes with another format



# --- Drover's frame through SheepIt -----------------------------------------
#
# The client runs this once the scene is open, appends lines of its own, among
# them a call of sheepit_set_compute_device, and has Blender render a frame.

import tempfile

CONFIG = json.loads(CONFIG_JSON)


def above(path, n):
    for _ in range(n):
        path = os.path.dirname(path)
    return path


def destinations(config):
    root = above(os.path.abspath(bpy.data.filepath), config["depth"] + 1)
    for rule in config["rules"] or []:
        rule["destination_path"] = os.path.normpath(os.path.join(root, rule["destination_path"]))
    return config


def choose_scene(name):
    scene = find_scene(name)
    if name and bpy.context.window:
        bpy.context.window.scene = scene
    return scene


def mute_outputs():
    """Output nodes would write beside the frame, or anywhere: they are kept
    within a folder of their own, and silent."""
    outputs = OutputNodes()
    if not outputs.nodes:
        return
    outputs.redirect(tempfile.mkdtemp(prefix="drover-"))
    for node, _, _ in outputs.nodes:
        node.mute = True


def set_up(config):
    Files(destinations(config)).run()
    scene = choose_scene(config["scene"])
    render = scene.render
    base = Base(scene)
    if config["engine"]:
        set_engine(render, config["engine"])
    set_size(render, base, config["width"], config["height"])
    set_samples(scene, config["samples"])
    set_camera(scene, config["camera"])
    set_format(render.image_settings, config["format"])
    render.use_file_extension = True
    render.use_overwrite = True
    render.use_placeholder = False
    render.threads_mode = "FIXED" if config["threads"] else "AUTO"
    if config["threads"]:
        render.threads = config["threads"]
    render.filepath = os.path.join(tempfile.gettempdir(), "drover_")  # the client's -o comes later
    scene.frame_current = config["frame"]
    mute_outputs()


def sheepit_set_compute_device(kind, family, device):
    """Called by clients since 2020: ("NONE", "CPU", "CPU"), or a kind such as
    "CUDA", "GPU" and the device's id."""
    try:
        scene = find_scene(CONFIG["scene"])
        if scene.render.engine != "CYCLES":
            return
        if family != "GPU":
            scene.cycles.device = "CPU"
            return
        set_device(scene, kind)
        devices = bpy.context.preferences.addons["cycles"].preferences.devices
        if any(d.id == device for d in devices):
            for d in devices:
                d.use = d.id == device
    except Exception as e:
        give_up(e)


def give_up(e):
    """An error here does not stop Blender, which would render something else."""
    worker = isinstance(e, (WorkerFault, MemoryError))
    text = " ".join((str(e).strip() or type(e).__name__).split())
    say("error of the %s: %s" % ("machine" if worker else "job", text))
    flush()
    os._exit(1)


def old_names():
    """What the lines that clients until 2020 append set in Blenders before 3.0.
    The command line does the same for what they put before this script."""
    for name in ("tile_x", "tile_y"):
        if name not in bpy.types.RenderSettings.bl_rna.properties:
            setattr(bpy.types.RenderSettings, name, property(lambda self: 0, lambda self, value: None))


line_buffered()
try:
    old_names()
    set_up(CONFIG)
except Exception as e:
    give_up(e)
say("the scene is open")
flush()

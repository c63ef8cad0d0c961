

# --- Drover's loop ----------------------------------------------------------
#
# It renders one frame after another of a scene. Blender runs it with -P and,
# after --, the path of a file with its configuration. Requests come as lines of
# JSON on standard input. Answers go to standard output as lines of JSON behind a
# mark that only Drover knows; all else on standard output and standard error is
# Blender's own log. When standard input ends, Drover is gone and Blender ends
# with it.

import queue
import threading


def answer(mark, message):
    flush()
    data = (mark + json.dumps(message) + "\n").encode()
    while data:
        data = data[os.write(1, data):]


def requests():
    """Gives requests as they come. The end of input ends Blender at once, even
    in the middle of a frame."""
    waiting = queue.Queue()

    def read():
        with open(0, "rb", closefd=False) as stdin:
            for line in stdin:
                waiting.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield json.loads(waiting.get().decode())


class Loop:
    def __init__(self, config):
        bpy.context.preferences.edit.use_negative_frames = True  # of this process only
        self.files = Files(config)
        self.files.run()
        self.outputs = OutputNodes()
        self.bases = {}

    def frame(self, req):
        scene = find_scene(req.get("scene"))
        if scene not in self.bases:
            self.bases[scene] = Base(scene)
        base = self.bases[scene]
        base.restore()
        render = scene.render
        if req.get("engine"):
            set_engine(render, req["engine"])
        set_size(render, base, req.get("width"), req.get("height"))
        set_samples(scene, req.get("samples"))
        set_device(scene, req.get("device"))
        set_camera(scene, req.get("camera"))
        extension = EXTENSIONS[set_format(render.image_settings, req.get("format"))]
        render.use_file_extension = True  # of the compositor's files; ours has it
        render.filepath = os.path.join(req["folder"], req["name"] + extension)
        self.outputs.redirect(req["folder"])
        limits = scene.bl_rna.properties["frame_current"]
        if not limits.hard_min <= req["frame"] <= limits.hard_max:
            raise ValueError("Blender has no frame %d, only %d to %d" % (req["frame"], limits.hard_min, limits.hard_max))
        scene.frame_current = req["frame"]
        result = bpy.ops.render.render(write_still=True, scene=scene.name)
        if "FINISHED" not in result:
            raise RuntimeError("Blender gave up the render")


def load(config):
    want = config["scene"]
    if not bpy.data.filepath or not os.path.samefile(bpy.data.filepath, want):
        raise ValueError("Blender could not open the scene %s" % want)
    return Loop(config)


def failure(e):
    party = "worker" if isinstance(e, (WorkerFault, MemoryError)) else "job"
    return {"ok": False, "party": party, "error": str(e).strip() or type(e).__name__}


def main():
    line_buffered()
    with open(sys.argv[sys.argv.index("--") + 1], encoding="utf-8") as f:
        config = json.load(f)
    mark = os.environ.pop("DROVER_LOOP_MARK")
    try:
        loop = load(config)
    except Exception as e:
        answer(mark, failure(e))
        return
    answer(mark, {"ok": True, "version": bpy.app.version_string, "moved": loop.files.moved, "missing": loop.files.missing})
    for request in requests():
        try:
            loop.frame(request)
            reply = {"ok": True}
        except Exception as e:
            reply = failure(e)
        answer(mark, reply)


main()

"""Makes Drover's sample animation: 24 frames of beads that dance around a knot.

Blender 2.80 to 5 runs it with -P and, after --, the path to save the scene to.
"""

import math
import os
import sys

import bpy
from mathutils import Vector

FRAMES = 24
BEADS = 7


def empty_file():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.name = "Drover demo"
    return scene


def material(name, color, metallic=0.0, roughness=0.35):
    m = bpy.data.materials.new(name)
    m.use_nodes = True
    shader = next(n for n in m.node_tree.nodes if n.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = color + (1.0,)
    shader.inputs["Metallic"].default_value = metallic
    shader.inputs["Roughness"].default_value = roughness
    m.diffuse_color = color + (1.0,)
    return m


def mesh(scene, name, vertices, faces, look, smooth=True):
    data = bpy.data.meshes.new(name)
    data.from_pydata(vertices, [], faces)
    data.materials.append(look)
    data.polygons.foreach_set("use_smooth", [smooth] * len(data.polygons))
    data.update()
    ob = bpy.data.objects.new(name, data)
    scene.collection.objects.link(ob)
    return ob


def grid(rows, columns, close_rows):
    """Faces over rows x columns points, closed along the columns."""
    faces = []
    for r in range(rows if close_rows else rows - 1):
        for c in range(columns):
            a, b = r * columns + c, r * columns + (c + 1) % columns
            e = ((r + 1) % rows) * columns
            faces.append((a, b, e + (c + 1) % columns, e + c))
    return faces


def ball(scene, name, radius, look):
    rows, columns = 20, 32
    points = []
    for r in range(rows):
        up = math.pi * (r + .5) / rows
        for c in range(columns):
            round_ = 2 * math.pi * c / columns
            points.append((radius * math.sin(up) * math.cos(round_), radius * math.sin(up) * math.sin(round_), radius * math.cos(up)))
    faces = grid(rows, columns, False)
    faces += [tuple(range(columns))[::-1], tuple(range((rows - 1) * columns, rows * columns))]
    return mesh(scene, name, points, faces, look)


def knot(scene, look):
    """A trefoil: a tube along a curve that winds twice around and thrice through."""
    rows, columns, thick = 240, 20, .27

    def at(t):
        r = 1 + .45 * math.cos(3 * t)
        return Vector((r * math.cos(2 * t), r * math.sin(2 * t), .55 * math.sin(3 * t)))

    points = []
    for i in range(rows):
        t = 2 * math.pi * i / rows
        here, along = at(t), (at(t + .01) - at(t - .01)).normalized()
        side = along.cross(Vector((0, 0, 1))).normalized()
        top = side.cross(along)
        for c in range(columns):
            a = 2 * math.pi * c / columns
            points.append(here + thick * (math.cos(a) * side + math.sin(a) * top))
    return mesh(scene, "Knot", points, grid(rows, columns, True), look)


def stage(scene, look):
    """A floor that bends up into a wall."""
    profile = [(-12.0, 0.0)]
    for i in range(17):
        a = math.pi / 2 * i / 16
        profile.append((5 + 3 * math.sin(a), 3 - 3 * math.cos(a)))
    profile.append((8.0, 14.0))
    points = [(x, y, z) for y, z in profile for x in (-30.0, 30.0)]
    faces = [(2 * i, 2 * i + 1, 2 * i + 3, 2 * i + 2) for i in range(len(profile) - 1)]
    return mesh(scene, "Stage", points, faces, look)


def light(scene, name, place, target, size, power, color):
    data = bpy.data.lights.new(name, "AREA")
    data.size, data.energy, data.color = size, power, color
    ob = bpy.data.objects.new(name, data)
    scene.collection.objects.link(ob)
    ob.location = place
    ob.rotation_euler = (Vector(target) - Vector(place)).to_track_quat("-Z", "Y").to_euler()


def world(scene):
    w = bpy.data.worlds.new("Sky")
    scene.world = w
    w.use_nodes = True
    sky = next((n for n in w.node_tree.nodes if n.type == "BACKGROUND"), None)
    if sky:
        sky.inputs["Color"].default_value = (.32, .42, .60, 1)
        sky.inputs["Strength"].default_value = .75


def hue(h):
    """A clear colour for 0 <= h < 1, in linear light."""
    return tuple((.5 + .5 * math.cos(2 * math.pi * (h - third / 3))) ** 1.6 * .85 + .02 for third in range(3))


def animate(ob, place, turn=None):
    """Keys every frame, so that no version's way to interpolate matters."""
    for frame in range(1, FRAMES + 1):
        t = 2 * math.pi * (frame - 1) / FRAMES
        ob.location = place(t)
        ob.keyframe_insert("location", frame=frame)
        if turn:
            ob.rotation_euler = turn(t)
            ob.keyframe_insert("rotation_euler", frame=frame)


def beads(scene):
    for i in range(BEADS):
        share = i / BEADS
        metal = 1.0 if i % 3 == 2 else 0.0
        bead = ball(scene, "Bead %d" % (i + 1), .42, material("Bead %d" % (i + 1), hue(share), metal, .18 if metal else .3))

        def place(t, phase=2 * math.pi * share):
            hop = abs(math.sin(t + 1.5 * phase))
            return (2.75 * math.cos(t / BEADS + phase), 2.75 * math.sin(t / BEADS + phase), .42 + 1.3 * hop)

        animate(bead, place)


def camera(scene):
    data = bpy.data.cameras.new("Camera")
    data.lens = 42
    ob = bpy.data.objects.new("Camera", data)
    scene.collection.objects.link(ob)
    scene.camera = ob

    def place(t):
        a = -math.pi / 2 + .16 * math.sin(t)
        return (9.4 * math.cos(a), 9.4 * math.sin(a), 4.1)

    def turn(t):
        return (Vector((0, 0, 1.15)) - Vector(place(t))).to_track_quat("-Z", "Y").to_euler()

    animate(ob, place, turn)


def render_settings(scene):
    r = scene.render
    r.engine = "CYCLES"
    r.resolution_x, r.resolution_y, r.resolution_percentage = 320, 180, 100
    r.image_settings.file_format = "PNG"
    r.image_settings.color_mode = "RGB"
    r.filepath = "//frames/####"
    r.fps = 12
    scene.frame_start, scene.frame_end = 1, FRAMES
    c = scene.cycles
    c.device = "CPU"
    # One light, a plain sky and short paths: six samples are clean enough.
    c.samples = 6
    c.max_bounces = 2
    c.diffuse_bounces = 1
    c.blur_glossy = 1
    c.sample_clamp_indirect = 2
    c.filter_width = 1.9
    for name, value in (("use_adaptive_sampling", False), ("use_denoising", False), ("caustics_reflective", False), ("caustics_refractive", False)):
        if hasattr(c, name):
            setattr(c, name, value)
    denoise(c)


def denoise(cycles):
    """Denoising makes few samples enough; not every build can."""
    try:
        cycles.denoiser = "OPENIMAGEDENOISE"
        cycles.use_denoising = True
        cycles.samples = 4
    except (AttributeError, TypeError):
        pass


def main():
    path = os.path.abspath(sys.argv[sys.argv.index("--") + 1])
    scene = empty_file()
    stage(scene, material("Stage", (.62, .60, .58), 0, .6))
    k = knot(scene, material("Knot", (.95, .62, .20), 1.0, .22))
    animate(k, lambda t: (0, 0, 1.35 + .15 * math.sin(t)), lambda t: (math.radians(62), .15 * math.sin(t), t / 3))
    beads(scene)
    light(scene, "Key", (-5, -5, 8), (0, 0, 1), 2, 1150, (1, .93, .84))
    world(scene)
    camera(scene)
    render_settings(scene)
    scene.frame_set(1)
    bpy.ops.wm.save_as_mainfile(filepath=path)


main()

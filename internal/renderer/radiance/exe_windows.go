package radiance

const exe = ".exe"

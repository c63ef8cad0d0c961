// Package frame says whether a file is a whole picture, what size it is and
// whether it shows anything, and makes thumbnails, contact sheets and views of
// high-range pictures. It reads PNG, JPEG, BMP, TIFF, Targa, OpenEXR and
// Radiance pictures.
//
// Every byte it reads may have been written by a stranger: pictures are decoded
// line by line, memory follows the data that is there rather than the numbers
// in a header, and sizes are bounded. It knows nothing of jobs, tasks or stores.
package frame

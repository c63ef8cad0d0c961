// Package sim runs the real farm (package farm, on store/mem) with simulated
// workers, owners and operators on the virtual clock of testing/synctest, and
// lets everything go wrong that can: requests lost before or after they were
// carried out, workers that vanish, return, forget, lie, answer twice or after
// their time, commits that fail, farms that are killed and replaced, clocks that
// jump.
//
// Every batch that a farm commits is held against the rules of
// docs/design/states.md by a checker that knows the rows and nothing of the
// farm's code. All chance comes from one seed, and a seed repeats itself to the
// last row: requests are made one after another, each when all before it have come
// to rest, and where several meet in one batch, their order is the one in which
// they were made.
package sim

// Package sim runs the real farm (package farm, on store/mem) with simulated
// workers, submitters and operators on the virtual clock of testing/synctest,
// and lets everything go wrong that can: messages that are lost, late or come
// twice, workers that vanish, return, lie or answer after their time, operators
// at odd moments, commits that fail, farms that are killed, restarted and
// replaced, clocks that jump.
//
// Every batch that the farm commits is held against a model of its own (see
// model), which knows the rules of docs/design/states.md but nothing of the
// farm's code. All chance comes from one seed, and everything happens one thing
// after another or in an order that the seed fixes; a seed that fails fails
// again, with the same log to the last step.
package sim

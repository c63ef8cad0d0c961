// Package session runs the sessions of Open Job Description 2023-09 on one
// machine: it keeps the working directory, enters and leaves environments, writes
// embedded files, runs actions as process trees, reads their output, obeys the
// openjd_ lines in it, and ends actions by the cancelation method of the template
// (How-Jobs-Are-Run; Template-Schemas sections 3.5 to 6).
//
// A [Session] is used by one caller: [Session.Enter] the environments,
// [Session.Run] tasks, [Session.Close]. [RunJob] does that for a whole job, as a
// command line needs it. [Sweep] removes what a killed program left behind.
//
// # Processes
//
// On Linux the program that makes a session becomes a child subreaper, so that
// processes which detach themselves stay its descendants and can be killed with
// the action that started them. What an action leaves running when it succeeds
// stays until the session is closed: that is how an environment keeps a server
// for its tasks. What an action that failed, was canceled or timed out leaves is
// killed with it.
//
// Every process of a session finds DROVER_SESSION_ID and DROVER_ACTION_ID in its
// environment, which tell which processes belong to what, also after a restart,
// and the working directory in OPENJD_SESSION_WORKING_DIR. A process that has left
// its parents and that environment behind is known as the session's only while
// the program has no other session: then every detached child of the program that
// started after the session's first action is taken for one.
package session

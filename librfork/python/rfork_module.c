/* SPDX-License-Identifier: MIT */
/*
 * The Python module `rfork`: librfork for CPython, against the stable ABI, so
 * that one rfork.abi3.so loads in every CPython from 3.7 on.
 *
 * A checkpoint is a fork as far as the interpreter can tell: the one that comes
 * back has another PID and none of the other threads. So CPython's own hooks
 * run around it as they do around os.fork().
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rfork.h"

static const char *explain(int error)
{
	switch (error) {
	case ESRCH:
		return "not a rebootable process (start it with rfork-run, or under the supervisor)";
	case EBUSY:
		return "more than one thread: call rfork.checkpoint() before threads are started";
	case ENOSYS:
		return "this kernel has no rfork(2) and RFORK_BACKEND=kernel asks for it";
	default:
		return NULL;
	}
}

static PyObject *fail(const char *call, int error, const char *text)
{
	PyObject *message, *arguments;

	if (!text || !*text)
		text = explain(error);
	message = PyUnicode_FromFormat("rfork.%s: %s", call, text ? text : strerror(error));
	if (!message)
		return NULL;
	arguments = Py_BuildValue("(iN)", error, message);
	if (!arguments)
		return NULL;
	PyErr_SetObject(PyExc_OSError, arguments);
	Py_DECREF(arguments);
	return NULL;
}

/* A daemon may have closed it; what is no file at all is taken as open, and flush says the rest. */
static int is_closed(PyObject *stream)
{
	PyObject *closed = PyObject_GetAttrString(stream, "closed");
	int result = closed ? PyObject_IsTrue(closed) : 0;

	PyErr_Clear();
	Py_XDECREF(closed);
	return result == 1;
}

/* What is still in a buffer at the checkpoint would be written again by every instance. */
static int flush_stream(const char *name)
{
	PyObject *stream = PySys_GetObject(name); /* borrowed */
	PyObject *result = NULL;
	int closed;

	if (!stream || stream == Py_None)
		return 0;
	Py_INCREF(stream);
	closed = is_closed(stream);
	if (!closed)
		result = PyObject_CallMethod(stream, "flush", NULL);
	Py_DECREF(stream);
	Py_XDECREF(result);
	return closed || result ? 0 : -1;
}

static int flush_all(void)
{
	fflush(NULL);
	return flush_stream("stdout") || flush_stream("stderr") ? -1 : 0;
}

/*
 * asyncio keeps the running loop and its epoll set for the process that started them. In an instance the loop would not be
 * the running one, or would serve the set of the instance before. -1: an exception is set.
 */
static int refuse_in_event_loop(void)
{
	PyObject *events = PyDict_GetItemString(PyImport_GetModuleDict(), "asyncio.events"); /* borrowed */
	PyObject *loop = events ? PyObject_CallMethod(events, "_get_running_loop", NULL) : NULL;
	int running = loop && loop != Py_None;

	if (events && !loop)
		PyErr_Clear();
	Py_XDECREF(loop);
	if (!running)
		return 0;
	PyErr_SetString(PyExc_RuntimeError, "rfork.checkpoint: called inside a running asyncio event loop, which the next "
			"instance cannot continue: call it before asyncio.run()");
	return -1;
}

/* Tell of what is shared. -1: an exception is set, the warning made one by a filter. */
static int warn_of_shared(void)
{
	const char *shared = rfork_shared();

	if (!*shared)
		return 0;
	return PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "rfork.checkpoint: each instance shares with the one before it: "
				"descriptors of %s; open them after the checkpoint, or see rebuild=", shared);
}

/* os.environ is a copy of the environment, in which the library has set LISTEN_PID. */
static int copy_listen_pid(void)
{
	const char *value = getenv("LISTEN_PID");
	PyObject *os, *environment, *text = NULL;
	int failed = -1;

	if (!value)
		return 0;
	os = PyImport_ImportModule("os");
	environment = os ? PyObject_GetAttrString(os, "environ") : NULL;
	text = environment ? PyUnicode_DecodeFSDefault(value) : NULL;
	if (text)
		failed = PyMapping_SetItemString(environment, "LISTEN_PID", text);
	Py_XDECREF(text);
	Py_XDECREF(environment);
	Py_XDECREF(os);
	return failed;
}

PyDoc_STRVAR(checkpoint_doc,
"checkpoint(*, keep_locks=False, reseed=False, rebuild=False) -> int\n\n"
"From here on, a restart comes back here. Returns 0 now, and the generation\n"
"(1, 2, ...) each time the process comes back. Hooks of os.register_at_fork()\n"
"and of C libraries run as around os.fork(). Raises OSError: ESRCH outside a\n"
"rebootable process, EBUSY with more than one thread, ENOLCK with record locks\n"
"(unless keep_locks), EOPNOTSUPP where C libraries' hooks cannot be reached\n"
"(unless reseed: the program then reseeds them itself). Raises RuntimeError\n"
"inside a running asyncio event loop. Warns of epoll sets, timerfds, signalfds\n"
"and locks of flock(2), which all instances share. With rebuild, each instance\n"
"makes epoll sets, timerfds and signalfds of its own, as they are now.");

static PyObject *checkpoint(PyObject *self, PyObject *arguments, PyObject *keywords)
{
	static char *names[] = { "keep_locks", "reseed", "rebuild", NULL };
	int keep_locks = 0, reseed = 0, rebuild = 0;
	int64_t result;

	(void)self;
	if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|$ppp:checkpoint", names, &keep_locks, &reseed, &rebuild) ||
	    refuse_in_event_loop() || flush_all())
		return NULL;
	PyOS_BeforeFork();
	result = rfork_checkpoint_with((keep_locks ? RFORK_KEEP_LOCKS : 0) | (reseed ? RFORK_RESEED : 0) |
				       (rebuild ? RFORK_REBUILD : 0));
	if (result > 0)
		PyOS_AfterFork_Child();
	else
		PyOS_AfterFork_Parent();
	if (result < 0)
		return fail("checkpoint", (int)-result, rfork_problem());
	if ((result == 0 && warn_of_shared()) || (result > 0 && copy_listen_pid()))
		return NULL;
	return PyLong_FromLongLong(result);
}

PyDoc_STRVAR(restart_doc,
"restart() -> NoReturn\n\n"
"Ask to be restarted: this instance ends here, without `finally` or atexit, after\n"
"standard output and error are flushed. Raises OSError ESRCH outside a\n"
"rebootable process.");

static PyObject *restart(PyObject *self, PyObject *unused)
{
	int64_t generation = rfork_generation();

	(void)unused;
	if (generation < 0)
		return fail("restart", (int)-generation, NULL);
	/* A reader that has gone away is no reason to stay. */
	if (flush_all())
		PyErr_WriteUnraisable(self);
	rfork_restart();
}

PyDoc_STRVAR(generation_doc,
"generation() -> int | None\n\n"
"0 in the first instance, one more after each restart; None outside a rebootable process.");

static PyObject *generation(PyObject *self, PyObject *unused)
{
	int64_t result = rfork_generation();

	(void)self;
	(void)unused;
	if (result == -ESRCH)
		Py_RETURN_NONE;
	if (result < 0)
		return fail("generation", (int)-result, NULL);
	return PyLong_FromLongLong(result);
}

PyDoc_STRVAR(cause_doc,
"cause() -> str | None\n\n"
"Why the instance before this one ended: 'request', 'error', 'signal', 'status',\n"
"'operator' or 'heartbeat'; None in the first instance and outside a rebootable process.");

static PyObject *cause(PyObject *self, PyObject *unused)
{
	int result = rfork_cause();

	(void)self;
	(void)unused;
	if (result == -ESRCH || result == RFORK_CAUSE_NONE)
		Py_RETURN_NONE;
	if (result < 0)
		return fail("cause", -result, NULL);
	return PyUnicode_FromString(rfork_cause_name((unsigned int)result));
}

PyDoc_STRVAR(backend_doc,
"backend() -> str\n\n"
"'kernel', 'user' or 'posix': the backend of rfork that this process runs under, or would use. 'user' is Linux's user level.");

static PyObject *backend(PyObject *self, PyObject *unused)
{
	enum rfork_backend backend = rfork_backend();

	(void)self;
	(void)unused;
	return PyUnicode_FromString(backend == RFORK_BACKEND_KERNEL ? "kernel" :
				    backend == RFORK_BACKEND_POSIX ? "posix" : "user");
}

static PyMethodDef methods[] = {
	{ "checkpoint", (PyCFunction)(void (*)(void))checkpoint, METH_VARARGS | METH_KEYWORDS, checkpoint_doc },
	{ "restart", restart, METH_NOARGS, restart_doc },
	{ "generation", generation, METH_NOARGS, generation_doc },
	{ "cause", cause, METH_NOARGS, cause_doc },
	{ "backend", backend, METH_NOARGS, backend_doc },
	{ NULL, NULL, 0, NULL },
};

static PyModuleDef_Slot slots[] = { { 0, NULL } };

static struct PyModuleDef module = {
	PyModuleDef_HEAD_INIT,
	.m_name = "rfork",
	.m_doc = "Processes that get up again: a restart comes back at rfork.checkpoint().",
	.m_methods = methods,
	.m_slots = slots,
};

PyMODINIT_FUNC PyInit_rfork(void)
{
	return PyModuleDef_Init(&module);
}

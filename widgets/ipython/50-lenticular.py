# Lets `%load_ext lenticular` find its extension; nothing is loaded by this file.
#
# IPython asks the module that is named for `load_ipython_extension`.
# `lenticular` is a namespace package, spread over several folders, and has no
# code of its own to define it in. IPython runs this file, which an
# installation puts into `etc/ipython/startup`, when it starts. Where it does
# not, `%load_ext lenticular.widgets` does the same.
with __import__("contextlib").suppress(ImportError):  # another Python's kernel may read the same folder
    __import__("lenticular").__dict__.update(
        load_ipython_extension=lambda shell: shell.extension_manager.load_extension("lenticular.widgets"),
        unload_ipython_extension=lambda shell: shell.extension_manager.unload_extension("lenticular.widgets"),
    )

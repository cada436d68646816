"""What runs inside the sandbox, each as ``python -s -P -m muniment.programs.<name>`` over the ``/opt/ml`` layout.

Modules without third-party imports, which the control plane may load: ``parameters``, ``algorithms``,
``model_formats``, ``tracking`` and ``contract``.
"""

"""The MLflow protocol: unmodified clients track, log artifacts, search and register. What they say is declared.

A client is pointed at ``http://HOST:PORT/mlflow/PROJECT`` (``MLFLOW_TRACKING_URI``) and shows a token
(``MLFLOW_TRACKING_TOKEN``). Each of its calls becomes one verb or a few, asked with that token.
"""

from muniment.gateways.mlflow.app import gateway

__all__ = ["gateway"]

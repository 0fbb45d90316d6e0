"""Bags of twelve digits: by which pooling does a network tell whether there is a nine, or what the marked digit is?"""

from benchmarks.networks.study import study
from poolref.teaching import bags as kit
from poolref.teaching import data


@study(
    question="Which pooling lets a network answer a question about one digit of a bag?",
    seeds=range(6),
    cases=[
        {"task": task, "features": features, "pooling": pooling}
        for task in kit.TASKS
        for features in kit.FEATURES
        for pooling in kit.POOLINGS
    ],
    measures={
        "accuracy": "share of 2,000 bags of held-out digits that are answered right",
        "share": "how much of the pooled vector comes from the digit that decides, on average over bags that have one",
        "found": "share of the bags with a digit that decides in which no other gives as much to the pooled vector",
    },
)
def bags(seed, task, features, pooling):
    network = kit.BagNetwork(pooling, features, seed)
    kit.train(network, *data.digits("training"), task, seed)
    return kit.evaluate(network, *kit.draw(*data.digits("held out"), 2000, task, 1000 + seed), task)

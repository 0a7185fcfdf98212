"""At which bandwidth of a link another plan would be better."""


def find(network, costs, place):
    return None

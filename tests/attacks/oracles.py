"""Slow, loop-based membership tests, written from the papers and not from our code."""

import math

import numpy as np


def shadows_of(target, complement, builds):
    return [b for b in range(builds) if b not in (target, complement[target])]


def normal_log_density(x, mean, std):
    return -math.log(std) - (x - mean) ** 2 / (2 * std**2)


def lira(phi, membership, complement, *, fixed):
    builds, images, queries = phi.shape
    scores = np.zeros((builds, images))
    for t in range(builds):
        others = shadows_of(t, complement, builds)
        for q in range(queries):
            inside = [[phi[b, j, q] for b in others if membership[b, j]] for j in range(images)]
            outside = [
                [phi[b, j, q] for b in others if not membership[b, j]] for j in range(images)
            ]
            var_in = [np.var(values) for values in inside]
            var_out = [np.var(values) for values in outside]
            pooled = math.sqrt((np.mean(var_in) + np.mean(var_out)) / 2)
            for j in range(images):
                std_in = pooled if fixed else math.sqrt(var_in[j])
                std_out = pooled if fixed else math.sqrt(var_out[j])
                scores[t, j] += (
                    normal_log_density(phi[t, j, q], np.mean(inside[j]), std_in + 1e-30)
                    - normal_log_density(phi[t, j, q], np.mean(outside[j]), std_out + 1e-30)
                ) / queries
    return scores


def offline_lira(phi, membership, complement, *, fixed, reference):
    from scipy.stats import norm

    builds, images, queries = phi.shape
    scores = np.zeros((builds, images))
    for t in range(builds):
        others = shadows_of(t, complement, builds)
        for q in range(queries):
            outside = [
                [phi[b, j, q] for b in others if not membership[b, j]] for j in range(images)
            ]
            pooled = math.sqrt(np.mean([np.var(values) for values in outside]))
            for j in range(images):
                mean = np.mean(outside[j])
                std = pooled if fixed else np.std(outside[j])
                if reference:
                    value = -normal_log_density(phi[t, j, q], mean, std)
                else:
                    value = -norm.logsf(phi[t, j, q], mean, std)
                scores[t, j] += value / queries
    return scores


def rmia_ratio(phi_pool, phi_population, membership, complement, *, a=None):
    """Target over reference confidence, on pool and population; ``a`` None is online."""

    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    builds, images, queries = phi_pool.shape
    pool = np.zeros(phi_pool.shape)
    population = np.zeros(phi_population.shape)
    for t in range(builds):
        others = shadows_of(t, complement, builds)
        for q in range(queries):
            for j in range(images):
                inside = [sigmoid(phi_pool[b, j, q]) for b in others if membership[b, j]]
                outside = [sigmoid(phi_pool[b, j, q]) for b in others if not membership[b, j]]
                if a is None:
                    reference = (np.mean(inside) + np.mean(outside)) / 2
                else:
                    reference = ((1 + a) * np.mean(outside) + 1 - a) / 2
                pool[t, j, q] = sigmoid(phi_pool[t, j, q]) / reference
            for z in range(phi_population.shape[1]):
                reference = np.mean([sigmoid(phi_population[b, z, q]) for b in others])
                if a is not None:
                    reference = ((1 + a) * reference + 1 - a) / 2
                population[t, z, q] = sigmoid(phi_population[t, z, q]) / reference
    return pool, population


def rmia_calibrated(pool, population, gamma):
    builds, images, queries = pool.shape
    share = np.zeros((builds, images))
    for t in range(builds):
        for j in range(images):
            beaten = 0
            for z in range(population.shape[1]):
                votes = sum(pool[t, j, q] / population[t, z, q] > gamma for q in range(queries))
                beaten += votes > queries / 2
            share[t, j] = beaten / population.shape[1]
    return share

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


def joint_lira(phi, membership, complement, *, fixed):
    """Multivariate normal with the correlation of the queries pooled over images."""
    from scipy.stats import multivariate_normal

    builds, images, _ = phi.shape
    scores = np.zeros((builds, images))
    for t in range(builds):
        others = shadows_of(t, complement, builds)
        inside = [np.array([phi[b, j] for b in others if membership[b, j]]) for j in range(images)]
        outside = [
            np.array([phi[b, j] for b in others if not membership[b, j]]) for j in range(images)
        ]
        pooled = np.mean([np.cov(v.T, bias=True) for v in inside + outside], axis=0)
        root = np.sqrt(np.diag(pooled))
        correlation = pooled / np.outer(root, root)
        for j in range(images):
            std_in = root if fixed else np.std(inside[j], axis=0)
            std_out = root if fixed else np.std(outside[j], axis=0)
            scores[t, j] = multivariate_normal.logpdf(
                phi[t, j], inside[j].mean(axis=0), correlation * np.outer(std_in, std_in)
            ) - multivariate_normal.logpdf(
                phi[t, j], outside[j].mean(axis=0), correlation * np.outer(std_out, std_out)
            )
    return scores


def bavaria(phi, membership, complement):
    """One query, one prior for all images, written with scipy's t distribution."""
    from scipy.optimize import brentq
    from scipy.special import digamma, polygamma
    from scipy.stats import t as student

    def prior(variances, freedom):
        logs = [math.log(v) - digamma(freedom / 2) + math.log(freedom / 2) for v in variances]
        excess = np.var(logs, ddof=1) - polygamma(1, freedom / 2)
        d0 = 2 * brentq(lambda half: polygamma(1, half) - excess, 1e-4, 1e7) if excess > 0 else 1e6
        if d0 >= 1e6:
            return 1e6, math.exp(np.mean(logs))
        return d0, math.exp(np.mean(logs) + digamma(d0 / 2) - math.log(d0 / 2))

    builds, images, _ = phi.shape
    scores = np.zeros((builds, images))
    count = builds // 2 - 1
    for t in range(builds):
        others = shadows_of(t, complement, builds)
        sides = []
        for member in (True, False):
            lists = [
                [phi[b, j, 0] for b in others if membership[b, j] == member] for j in range(images)
            ]
            variances = [np.var(values, ddof=1) for values in lists]
            d0, s0 = prior(variances, count - 1)
            moderated = [(d0 * s0 + (count - 1) * v) / (d0 + count - 1) for v in variances]
            sides.append(([np.mean(values) for values in lists], moderated, d0 + count - 1))
        (mean_in, var_in, df_in), (mean_out, var_out, df_out) = sides
        scale = [math.sqrt((a + b) / 2) for a, b in zip(var_in, var_out, strict=True)]
        effect = [(a - b) / s for a, b, s in zip(mean_in, mean_out, scale, strict=True)]
        spread = max(np.var(effect) - 2 / count, 1e-3)
        weight = spread / (spread + 2 / count)
        wider = 1 + 1 / (2 * count) + weight / (2 * count)
        trust = max(0, 1 - np.var(effect) / images / np.mean(effect) ** 2)
        for j in range(images):
            shrunk = (trust * np.mean(effect) + weight * (effect[j] - np.mean(effect))) * scale[j]
            middle = (mean_in[j] + mean_out[j]) / 2
            value = phi[t, j, 0]
            scores[t, j] = student.logpdf(
                value, df_in, middle + shrunk / 2, math.sqrt(var_in[j] * wider)
            ) - student.logpdf(value, df_out, middle - shrunk / 2, math.sqrt(var_out[j] * wider))
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

"""The compiled pair loop: gradient, hessian and loss of a pair loss times a pair weight on ragged lists.

layout    what the loop reads, and how its scratch lies
order     sorting, and documents alike
factors   rank factors of the metrics' weights
weights   signed pair weights of a row
formulas  logistic and hinges over a row
visit     the loop
own       the same loop around functions from a user's file
both      two sums in one walk: pairs weighed by ranks, and each weighing 1

For each query the documents are sorted by score and visited as (i, j), i above j. Stages of their own
write the signed pair weights of row i, then the formula's stage turns them into gradients; all run over
contiguous scratch arrays, so that the compiler vectorises them. A weight is positive where i has the
higher label, negative where j has, zero where the labels tie: no branch on the labels is left.

The logistic needs no `exp` per pair: with E_i = exp(sigma (s_i - s_best)) once a document,
1 / (1 + exp(sigma (s_i - s_j))) = E_j / (E_i + E_j). Where the scores of a query spread so far that E
would underflow, its rows fall back to one `exp` a pair.

Every weight of a metric is a difference of worths times an affine function of a number of j alone:

    |delta M_ij| = |worth_i - worth_j| (T_i - tau_i D_j)

    ndcg, dcg, precision   T = D = the discount of the rank, tau = 1
    map   T_i = (n_i + [i irrelevant]) / r_i - A_i, D_j = n_j / r_j - A_{j-1}, tau = 1, with n_r the relevant
          documents down to rank r and A_r the sum of 1 / rank over them
    mrr   i the first relevant: T_i = 1 / r_i, tau = 1, D_j = max(1 / r_j, 1 / rank of the second);
          i irrelevant above the first: T_i = 1 / r_i - 1 / rank of the first, tau = 0; else nothing
    err   T_i = P_i / r_i + C_i / (1 - R_i), tau_i = 1 / (1 - R_i), D_j = C_{j-1} + P_j / r_j, with R the
          chance to stop at a document, P to come so far, C_r the ERR down to rank r

Sorting ties. Equal scores have no order. With `TIES_AVERAGE` the rank factor of ndcg, dcg, precision and
uniform weights is its expected value over all orders of the tied documents: for groups A above B with
positions p in A and q in B

    E[(D_p - D_q) 1(p < K)] = T_A - tau_A Dbar_B,   T_A = sum_{p in A, p < K} D_p / |A|,
                                                    tau_A = |{p in A: p < K}| / |A|

and inside one group the mean of |D_p - D_q| 1(min(p, q) < K) over its pairs. For the other weights tied
documents stand worse first, and those alike in worth, label and weight get their mean, which is the
expected value over the orders among them. Winner weights know no ranks: where there are any, the weights of
pairs are averaged so, and then multiplied. With `TIES_FILE` each document is a group of its own in input
order, as LightGBM and XGBoost have it.

The scratch is float64, or float32 where speed counts: the scores in it are relative to the query's best.
"""

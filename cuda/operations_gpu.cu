#include "clustering/kmeans.cuh"
#include "core/gpu/backend.cuh"
#include "decoding/decode_attention.cuh"
#include "decoding/penalties.cuh"
#include "decoding/sampling.cuh"
#include "factorization/als.cuh"
#include "factorization/bayesian/posterior.cuh"
#include "factorization/implicit/implicit.cuh"
#include "factorization/ranking/bpr.cuh"
#include "factorization/ranking/contrastive.cuh"
#include "factorization/sgd/sgd.cuh"
#include "linear/add_product.cuh"
#include "linear/scaled_sum.cuh"
#include "operations.h"
#include "similarity/topk.cuh"
#include "sparse/filters/graph_filter.cuh"
#include "sparse/filters/multiply_sparse.cuh"
#include "sparse/filters/positive_entries.cuh"
#include "sparse/filters/sparse_product.cuh"
#include "sparse/filters/top_scores.cuh"
#include "sparse/row_similarity.cuh"

namespace sartor::cuda {

const Operations& GpuBackend::operations() const {
  static constexpr Operations table = {.prepare_topk_rows = prepare_topk_rows_gpu,
                                       .topk = topk_gpu,
                                       .als_update = als_update_gpu,
                                       .implicit_update = implicit_update_gpu,
                                       .gram = gram_gpu,
                                       .nearest_centroids = nullptr,  // by topk
                                       .cluster_sums = cluster_sums_gpu,
                                       .negative_half_squares = negative_half_squares_gpu,
                                       .candidate_distances = nullptr,  // refused before
                                       .linkage = nullptr,
                                       .row_similarity = row_similarity_gpu,
                                       .sgd_rounds = sgd_rounds_gpu,
                                       .svdpp_epoch = nullptr,  // refused before
                                       .bpr_epoch = bpr_epoch_gpu,
                                       .contrastive_epoch = contrastive_epoch_gpu,
                                       .contrastive_users = contrastive_users_gpu,
                                       .draw_posterior = draw_posterior_gpu,
                                       .row_moments = row_moments_gpu,
                                       .nonnegative_update = nullptr,
                                       .sparse_product = sparse_product_gpu,
                                       .multiply_sparse = multiply_sparse_gpu,
                                       .graph_filter = graph_filter_gpu,
                                       .top_scores = top_scores_gpu,
                                       .count_positive = count_positive_gpu,
                                       .take_positive = take_positive_gpu,
                                       .add_product = add_product_gpu,
                                       .scaled_sum = scaled_sum_gpu,
                                       .invert_spd = nullptr,
                                       .append_to_cache = append_to_cache_gpu,
                                       .decode_attention = decode_attention_gpu,
                                       .penalize = penalize_gpu,
                                       .sample = sample_gpu};
  return table;
}

}  // namespace sartor::cuda

#include "operations.h"

#include "clustering/kmeans_cpu.h"
#include "clustering/linkage_cpu.h"
#include "core/cpu_backend.h"
#include "decoding/decode_attention_cpu.h"
#include "decoding/penalties_cpu.h"
#include "decoding/sampling_cpu.h"
#include "factorization/als_cpu.h"
#include "factorization/bayesian/posterior_cpu.h"
#include "factorization/implicit/implicit_cpu.h"
#include "factorization/nonnegative/nonnegative_cpu.h"
#include "factorization/ranking/bpr_cpu.h"
#include "factorization/ranking/contrastive_cpu.h"
#include "factorization/sgd/sgd_cpu.h"
#include "factorization/sgd/svdpp_cpu.h"
#include "linear/add_product_cpu.h"
#include "linear/invert_spd_cpu.h"
#include "linear/scaled_sum_cpu.h"
#include "similarity/topk_cpu.h"
#include "sparse/filters/graph_filter_cpu.h"
#include "sparse/filters/multiply_sparse_cpu.h"
#include "sparse/filters/positive_entries_cpu.h"
#include "sparse/filters/sparse_product_cpu.h"
#include "sparse/filters/top_scores_cpu.h"
#include "sparse/row_similarity_cpu.h"

namespace sartor::cuda {

const Operations& CpuBackend::operations() const {
  static constexpr Operations table = {.prepare_topk_rows = prepare_topk_rows_cpu,
                                       .topk = topk_cpu,
                                       .als_update = als_update_cpu,
                                       .implicit_update = implicit_update_cpu,
                                       .gram = gram_cpu,
                                       .nearest_centroids = nearest_centroids_cpu,
                                       .cluster_sums = cluster_sums_cpu,
                                       .negative_half_squares = negative_half_squares_cpu,
                                       .candidate_distances = candidate_distances_cpu,
                                       .linkage = linkage_cpu,
                                       .row_similarity = row_similarity_cpu,
                                       .sgd_rounds = sgd_rounds_cpu,
                                       .svdpp_epoch = svdpp_epoch_cpu,
                                       .bpr_epoch = bpr_epoch_cpu,
                                       .contrastive_epoch = contrastive_epoch_cpu,
                                       .contrastive_users = contrastive_users_cpu,
                                       .draw_posterior = draw_posterior_cpu,
                                       .row_moments = row_moments_cpu,
                                       .nonnegative_update = nonnegative_update_cpu,
                                       .sparse_product = sparse_product_cpu,
                                       .multiply_sparse = multiply_sparse_cpu,
                                       .graph_filter = graph_filter_cpu,
                                       .top_scores = top_scores_cpu,
                                       .count_positive = count_positive_cpu,
                                       .take_positive = take_positive_cpu,
                                       .add_product = add_product_cpu,
                                       .scaled_sum = scaled_sum_cpu,
                                       .invert_spd = invert_spd_cpu,
                                       .append_to_cache = append_to_cache_cpu,
                                       .decode_attention = decode_attention_cpu,
                                       .penalize = penalize_cpu,
                                       .sample = sample_cpu};
  return table;
}

}  // namespace sartor::cuda

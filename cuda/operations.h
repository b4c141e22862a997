// Table of operations, filled in for the CPU by operations_cpu.cpp and for GPUs by operations_gpu.cu.
#pragma once

namespace sartor::cuda {

class Context;
struct AddProductTask;
struct AlsTask;
struct BprTask;
struct CacheTask;
struct CandidateDistancesTask;
struct ClusterSumsTask;
struct ContrastiveTask;
struct ContrastiveUsersTask;
struct CountPositiveTask;
struct DecodeAttentionTask;
struct GramTask;
struct GraphFilterTask;
struct HalfSquaresTask;
struct ImplicitTask;
struct InvertSpdTask;
struct LinkageTask;
struct MomentsTask;
struct MultiplySparseTask;
struct NearestTask;
struct NonnegativeTask;
struct PenaltyTask;
struct PosteriorTask;
struct RowSimilarityTask;
struct SamplingTask;
struct ScaledSumTask;
struct SgdTask;
struct SparseProductTask;
struct SvdppTask;
struct TakePositiveTask;
struct TopScoresTask;
struct TopkRowsTask;
struct TopkTask;

// The public function of the same name validates the task and then calls the entry of the context's device.
struct Operations {
  void (*prepare_topk_rows)(Context&, const TopkRowsTask&);
  void (*topk)(Context&, const TopkTask&);
  void (*als_update)(Context&, const AlsTask&);
  void (*implicit_update)(Context&, const ImplicitTask&);
  void (*gram)(Context&, const GramTask&);
  void (*nearest_centroids)(Context&, const NearestTask&);
  void (*cluster_sums)(Context&, const ClusterSumsTask&);
  void (*negative_half_squares)(Context&, const HalfSquaresTask&);
  void (*candidate_distances)(Context&, const CandidateDistancesTask&);
  void (*linkage)(Context&, const LinkageTask&);
  void (*row_similarity)(Context&, const RowSimilarityTask&);
  void (*sgd_rounds)(Context&, const SgdTask&);
  void (*svdpp_epoch)(Context&, const SvdppTask&);
  void (*bpr_epoch)(Context&, const BprTask&);
  void (*contrastive_epoch)(Context&, const ContrastiveTask&);
  void (*contrastive_users)(Context&, const ContrastiveUsersTask&);
  void (*draw_posterior)(Context&, const PosteriorTask&);
  void (*row_moments)(Context&, const MomentsTask&);
  void (*nonnegative_update)(Context&, const NonnegativeTask&);
  void (*sparse_product)(Context&, const SparseProductTask&);
  void (*multiply_sparse)(Context&, const MultiplySparseTask&);
  void (*graph_filter)(Context&, const GraphFilterTask&);
  void (*top_scores)(Context&, const TopScoresTask&);
  void (*count_positive)(Context&, const CountPositiveTask&);
  void (*take_positive)(Context&, const TakePositiveTask&);
  void (*add_product)(Context&, const AddProductTask&);
  void (*scaled_sum)(Context&, const ScaledSumTask&);
  void (*invert_spd)(Context&, const InvertSpdTask&);
  void (*append_to_cache)(Context&, const CacheTask&);
  void (*decode_attention)(Context&, const DecodeAttentionTask&);
  void (*penalize)(Context&, const PenaltyTask&);
  void (*sample)(Context&, const SamplingTask&);
};

}  // namespace sartor::cuda

#include "optimization/gradient_reducer.h"

#include <ranges>
#include <string>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/logger.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>
#include <unordered_map>

namespace sartor {
namespace {

constexpr int64_t first_bucket_bytes = 1 << 20,
                  bucket_bytes = 25 << 20;  // defaults of PyTorch's DistributedDataParallel

}  // namespace

struct GradientReducer::Engine {
  c10d::Reducer reducer;
};

GradientReducer::GradientReducer(const std::vector<TrainedParameter>& parameters, ProcessGroup& ranks) {
  if (ranks.size() == 1) return;
  std::vector<at::Tensor> tensors, values;
  std::unordered_map<size_t, std::string> names;
  for (const auto& [name, tensor, scale, decays] :
       std::views::reverse(parameters)) {  // the backward pass starts at the last layer
    names.emplace(names.size(), name);
    tensors.push_back(tensor);
    values.push_back(tensor.detach());
  }
  ranks.copy_from_first(values);
  const std::vector<bool> dense(tensors.size(), false);
  auto buckets = c10d::compute_bucket_assignment_by_size(
      tensors, {static_cast<size_t>(first_bucket_bytes), static_cast<size_t>(bucket_bytes)}, dense);
  auto group = c10::intrusive_ptr<c10d::ProcessGroup>::reclaim_copy(ranks.group());
  engine_ = std::unique_ptr<Engine>(new Engine{
      c10d::Reducer(std::move(tensors), std::move(std::get<0>(buckets)), std::move(group), dense, bucket_bytes,
                    /*find_unused_parameters=*/false, /*gradient_as_bucket_view=*/false, std::move(names),
                    first_bucket_bytes, /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false, {})});
  // By default the reducer rebuilds its buckets after the first step in the order in which gradients arrived.
  // Rebuilding them now in a fixed order makes sums independent of which step is the first of a process (--resume).
  engine_->reducer.push_rebuilt_params_for_all_indices();
  engine_->reducer.rebuild_buckets();
}

GradientReducer::~GradientReducer() = default;

bool GradientReducer::order_is_settled() const { return !engine_ || !engine_->reducer.should_rebuild_buckets(); }

void GradientReducer::before_last_backward(const at::Tensor& loss) {
  if (!engine_) return;
  engine_->reducer.prepare_for_forward();
  engine_->reducer.prepare_for_backward({loss});
}

}  // namespace sartor

// Interface between the training loop and a model with its data.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "metrics/metric.h"
#include "optimization/adamw.h"

namespace sartor {

class Learner {
 public:
  virtual ~Learner() = default;

  virtual std::vector<TrainedParameter> parameters() = 0;   // trainable parameters
  virtual const std::vector<int32_t>& lengths() const = 0;  // tokens of each training row

  // Called at the start of each step, from 0. Random numbers of a row may depend only on the step and the row, not on
  // its micro-batch or rank.
  virtual void begin_step(int64_t step) { static_cast<void>(step); }

  // Number of labels in these rows, and the differentiable sum of their losses. Training minimizes the mean over all
  // labels of a step, independent of micro-batches and ranks.
  virtual double labels(std::span<const int64_t> rows) = 0;
  virtual at::Tensor loss(std::span<const int64_t> rows) = 0;

  // Floating-point operations of loss() and its backward pass for these rows: matrix products only, without padding and
  // recomputation. 0 if unknown, then utilization is not reported.
  virtual double flops(std::span<const int64_t>) { return 0; }
  virtual at::ScalarType compute_type() const { return at::kFloat; }  // data type of most products

  // Metrics of the held-out rows, including "loss". Called on every rank, with the same result.
  virtual std::vector<Metric> evaluate() = 0;

  // Writes and reads the complete model as a Hugging Face folder.
  virtual void save(const std::filesystem::path& folder) const = 0;
  virtual void load(const std::filesystem::path& folder) = 0;
};

}  // namespace sartor

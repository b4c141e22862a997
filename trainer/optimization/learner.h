// Interface between the training loop and a model with its data.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "metrics/metric.h"
#include "models/tensors/transfer.h"
#include "optimization/adamw.h"

namespace sartor {

// Training rows as tensors, on the model's device.
struct Batch {
  virtual ~Batch() = default;

  double labels = 0;          // number of labels of the rows, or the sum of their weights
  Transfer::Arrival arrival;  // loss() awaits it
};

class Learner {
 public:
  virtual ~Learner() = default;

  virtual std::vector<TrainedParameter> parameters() = 0;   // trainable parameters
  virtual const std::vector<int32_t>& lengths() const = 0;  // tokens of each training row

  // Prepares these rows on the host and sends them to the device. The result depends only on the rows and the step,
  // which counts from 0; random numbers of a row do not depend on its micro-batch or rank. May run on another thread
  // while loss() of an earlier batch runs.
  virtual std::unique_ptr<Batch> prepare(int64_t step, std::span<const int64_t> rows) const = 0;

  // The differentiable sum of the losses of a batch that prepare() returned, without reading a tensor back from an
  // accelerator. Training minimizes the mean over all labels of a step, independent of micro-batches and ranks.
  virtual at::Tensor loss(const Batch& batch) = 0;

  // Floating-point operations of loss() and its backward pass for these rows: matrix products only, without padding and
  // recomputation. 0 if unknown, then utilization is not reported. May run on another thread, like prepare().
  virtual double flops(std::span<const int64_t>) const { return 0; }
  virtual at::ScalarType compute_type() const { return at::kFloat; }  // data type of most products

  virtual Transfer transfer() const { return Transfer(at::kCPU); }  // to and from the device of the parameters

  // Metrics of the held-out rows, including "loss". Called on every rank, with the same result.
  virtual std::vector<Metric> evaluate() = 0;

  // Writes and reads the complete model as a Hugging Face folder.
  virtual void save(const std::filesystem::path& folder) const = 0;
  virtual void load(const std::filesystem::path& folder) = 0;
};

}  // namespace sartor

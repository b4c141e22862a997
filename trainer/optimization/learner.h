// What a training by gradients needs to know of a model and its data.
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

  virtual std::vector<Parameter> parameters() = 0;          // those to be trained
  virtual const std::vector<int32_t>& lengths() const = 0;  // of the training rows, in tokens

  // What follows belongs to this step of the training, from 0: what a learner draws at random for a row follows from it
  // and the row alone, whatever micro-batch and rank the row falls to.
  virtual void begin_step(int64_t step) { static_cast<void>(step); }

  // The number of labels in these rows that count, and the sum of their losses, differentiable: what is minimised is
  // the mean over all labels of a step, whatever micro-batches and ranks they fall to.
  virtual double labels(std::span<const int64_t> rows) = 0;
  virtual at::Tensor loss(std::span<const int64_t> rows) = 0;

  // Floating-point operations of loss() of these training rows and its backward pass, as a model is judged by: those of
  // its products, no padding, nothing that is computed again. 0: unknown, then there is no utilisation.
  virtual double flops(std::span<const int64_t>) { return 0; }
  virtual at::ScalarType compute_type() const { return at::kFloat; }  // of most products

  // On the held-out rows; "loss" is among them. Every rank calls it and gets the same.
  virtual std::vector<Metric> evaluate() = 0;

  // The whole model, a folder that Hugging Face's libraries open; and back.
  virtual void save(const std::filesystem::path& folder) const = 0;
  virtual void load(const std::filesystem::path& folder) = 0;
};

}  // namespace sartor

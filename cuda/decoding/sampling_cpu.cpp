#include "decoding/sampling_cpu.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <span>

#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "decoding/rules.h"
#include "decoding/sampling_kernels.h"

namespace sartor::cuda {
namespace {

constexpr float none = -std::numeric_limits<float>::infinity();

// Scratch memory of one thread, for rows of V logits.
struct Workspace {
  uint64_t *sums, *weights;  // (blocks) (V)
  float *maxima, *logits;    // (blocks) (V)
  int32_t *ids, *order;      // (V) (V)

  static int64_t blocks(int64_t columns) { return (columns + logit_block - 1) / logit_block; }
  static size_t bytes(int64_t columns) {
    return (2 * sizeof(uint64_t) * blocks(columns) +
            (sizeof(uint64_t) + sizeof(float) + 2 * sizeof(int32_t)) * columns + 63) /
           64 * 64;
  }
  Workspace(char* memory, int64_t columns)
      : sums(reinterpret_cast<uint64_t*>(memory)),
        weights(sums + blocks(columns)),
        maxima(reinterpret_cast<float*>(weights + columns)),
        logits(maxima + blocks(columns)),
        ids(reinterpret_cast<int32_t*>(logits + columns)),
        order(ids + columns) {}
};

// Logits of one row, with what is known of their distribution at a temperature.
struct Distribution {
  std::span<const float> logits;
  RowMaxima maxima;
  float scale;         // 1 / temperature
  uint64_t total = 0;  // of the weights

  int64_t size() const { return std::ssize(logits); }
  bool is_empty() const { return maxima.largest == none; }
  double log_probability(int32_t id, uint64_t of_total) const {
    const double scaled = scaled_logit(logits[id], maxima.largest, scale);
    return scaled - std::log(static_cast<double>(of_total) / static_cast<double>(largest_weight));
  }
};

// Tokens that may be drawn, in the order of ids.
struct Candidates {
  std::span<float> logits;
  std::span<int32_t> ids;
  std::span<uint64_t> weights;
  float bound;  // not above any of the logits

  int64_t size() const { return std::ssize(ids); }
};

struct Choice {
  int32_t id = 0;
  float log_probability = 0;
};

class RowSampler {
 public:
  RowSampler(const SamplingKernels& kernels, const SamplingParams& params, Workspace work)
      : kernels_(kernels), params_(params), work_(work) {}

  Distribution scan(std::span<const float> logits, float scale) const {
    return {logits, kernels_.find_maxima(logits.data(), std::ssize(logits), work_.maxima), scale};
  }
  void sum(Distribution& row) const {
    row.total = kernels_.sum_blocks(row.logits.data(), row.size(), row.maxima.largest, row.scale, work_.sums);
  }

  // After scan().
  int32_t most_probable(const Distribution& row) const {
    if (row.is_empty()) return 0;
    const auto* const block = std::find(work_.maxima, work_.maxima + Workspace::blocks(row.size()), row.maxima.largest);
    const auto first = row.logits.begin() + (block - work_.maxima) * logit_block;
    return static_cast<int32_t>(std::find(first, row.logits.end(), row.maxima.largest) - row.logits.begin());
  }

  // After scan() and, unless filters choose among the k best alone, sum().
  Choice draw(const Distribution& row, const Draw& draw) const {
    if (row.is_empty()) return {};
    const uint64_t bits = philox(params_.seed, static_cast<uint64_t>(draw.row), static_cast<uint32_t>(draw.variant),
                                 static_cast<uint32_t>(draw.position));
    return keeps_all() ? draw_from_all(row, bits) : draw_from(candidates(row), row, bits);
  }

  bool needs_sum() const { return params_.top_k == 0 && (keeps_all() || params_.top_p < 1); }

 private:
  bool keeps_all() const { return params_.top_k == 0 && params_.top_p == 1 && params_.min_p == 0; }

  Choice draw_from_all(const Distribution& row, uint64_t bits) const {
    uint64_t mass = drawn_mass(bits, row.total);
    const uint64_t* sum = work_.sums;
    while (mass >= *sum) mass -= *sum++;
    const int64_t first = (sum - work_.sums) * logit_block;
    kernels_.weigh(row.logits.data() + first, std::min(logit_block, row.size() - first), row.maxima.largest, row.scale,
                   work_.weights);
    const uint64_t* weight = work_.weights;
    while (mass >= *weight) mass -= *weight++;
    const auto id = static_cast<int32_t>(first + (weight - work_.weights));
    return {id, static_cast<float>(row.log_probability(id, row.total))};
  }

  Choice draw_from(const Candidates& tokens, const Distribution& row, uint64_t bits) const {
    const Kept kept = filter(tokens, row);
    const uint64_t total =
        kernels_.keep(tokens.logits.data(), tokens.ids.data(), tokens.size(), kept, tokens.weights.data());
    uint64_t mass = drawn_mass(bits, total);
    const uint64_t* weight = tokens.weights.data();
    while (mass >= *weight) mass -= *weight++;
    const int32_t id = tokens.ids[weight - tokens.weights.data()];
    return {id, static_cast<float>(row.log_probability(id, total))};
  }

  // The k best tokens, or without top_k those that the other filters cannot drop.
  Candidates candidates(const Distribution& row) const {
    const float cut = params_.top_k > 0 ? kth_largest_block(row) : least_logit(row);
    int64_t count = kernels_.gather(row.logits.data(), row.size(), work_.maxima, cut, work_.logits, work_.ids);
    if (params_.top_k > 0) count = keep_k_best(count);
    kernels_.weigh(work_.logits, count, row.maxima.largest, row.scale, work_.weights);
    const auto size = static_cast<size_t>(count);
    return {{work_.logits, size}, {work_.ids, size}, {work_.weights, size}, cut};
  }

  // The k-th largest maximum of blocks: at least k logits are not below it.
  float kth_largest_block(const Distribution& row) const {
    const int64_t blocks = Workspace::blocks(row.size());
    if (params_.top_k > blocks) return none;
    float* copy = work_.logits;
    std::copy_n(work_.maxima, blocks, copy);
    std::nth_element(copy, copy + params_.top_k - 1, copy + blocks, std::greater());
    return copy[params_.top_k - 1];
  }

  int64_t keep_k_best(int64_t count) const {
    if (count <= params_.top_k) return count;
    auto* copy = reinterpret_cast<float*>(work_.weights);
    std::copy_n(work_.logits, count, copy);
    std::nth_element(copy, copy + params_.top_k - 1, copy + count, std::greater());
    const float least = copy[params_.top_k - 1];
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
      if (!(work_.logits[i] >= least)) continue;
      work_.logits[kept] = work_.logits[i];
      work_.ids[kept++] = work_.ids[i];
    }
    return kept;
  }

  // A bound below the logits that top_p and min_p keep. All tokens with weights up to the mass that top_p leaves out,
  // divided by the number of tokens, are left out. The margin of 0.3 exceeds all errors of rounding.
  float least_logit(const Distribution& row) const {
    double weight = static_cast<double>(params_.min_p) * largest_weight;
    if (params_.top_p < 1) {
      weight = static_cast<double>(row.total - part_of(params_.top_p, row.total)) / static_cast<double>(row.size());
    }
    const double scaled = std::log(std::max(weight, 1.0) / static_cast<double>(largest_weight)) - 0.3;
    return static_cast<float>(row.maxima.largest + scaled / row.scale);
  }

  Kept filter(const Candidates& tokens, const Distribution& row) const {
    Kept kept = {none, std::numeric_limits<int32_t>::max(), part_of(params_.min_p, largest_weight)};
    if (params_.top_p < 1) {
      const uint64_t total = params_.top_k > 0 ? std::reduce(tokens.weights.begin(), tokens.weights.end()) : row.total;
      const int32_t last = last_of_mass(tokens, row, std::max<uint64_t>(part_of(params_.top_p, total), 1));
      kept.logit = tokens.logits[last];
      kept.last = tokens.ids[last];
    }
    return kept;
  }

  // The index of the token at which the sum of weights, from the most probable token on, reaches `mass`. Sorts only the
  // tokens of that part of the logits' range.
  int32_t last_of_mass(const Candidates& tokens, const Distribution& row, uint64_t mass) const {
    constexpr int parts = 1024;
    const float lowest = scaled_logit(tokens.bound, row.maxima.largest, row.scale);
    const float parts_per_unit = parts / std::clamp(-lowest, 0.1f, 28.0f);
    const auto part_of_token = [&](int64_t i) {
      const float place = -scaled_logit(tokens.logits[i], row.maxima.largest, row.scale) * parts_per_unit;
      return place < parts - 1 ? static_cast<int>(place) : parts - 1;
    };
    uint64_t masses[parts] = {};
    for (int64_t i = 0; i < tokens.size(); i++) masses[part_of_token(i)] += tokens.weights[i];
    int part = 0;
    for (; masses[part] < mass; part++) mass -= masses[part];

    int32_t *const begin = work_.order, *end = begin;
    for (int32_t i = 0; i < static_cast<int32_t>(tokens.size()); i++) {
      if (part_of_token(i) == part) *end++ = i;
    }
    std::sort(begin, end, [&](int32_t a, int32_t b) {
      return tokens.logits[a] > tokens.logits[b] || (tokens.logits[a] == tokens.logits[b] && a < b);
    });
    const int32_t* token = begin;
    for (; tokens.weights[*token] < mass; token++) mass -= tokens.weights[*token];
    return *token;
  }

  const SamplingKernels& kernels_;
  const SamplingParams& params_;
  Workspace work_;
};

// log softmax of the model's logits at `id`. `chosen_from` is the row's distribution that the token was chosen from.
float model_log_probability(const RowSampler& sampler, const SamplingTask& task, int64_t row, int32_t id,
                            const Distribution& chosen_from) {
  const std::span logits(task.model_logits.row(row), static_cast<size_t>(task.model_logits.columns));
  Distribution model = chosen_from;
  if (task.model_logits.data != task.logits.data) model = sampler.scan(logits, 1);
  if (model.maxima.any_nan || model.is_empty()) return std::numeric_limits<float>::quiet_NaN();
  if (model.total == 0 || model.scale != 1) {
    model.scale = 1;
    sampler.sum(model);
  }
  return static_cast<float>(model.log_probability(id, model.total));
}

void append(const TokenHistory& history, int64_t row, int32_t id) {
  int32_t& length = history.lengths[row];
  if (length < history.stride) history.ids[row * history.stride + length++] = id;
}

void sample_row(const RowSampler& sampler, const SamplingTask& task, int64_t row) {
  const bool greedy = task.params.greedy;
  const std::span logits(task.logits.row(row), static_cast<size_t>(task.logits.columns));
  Distribution distribution = sampler.scan(logits, greedy ? 1 : 1 / task.params.temperature);
  if (!greedy && sampler.needs_sum()) sampler.sum(distribution);
  const Choice choice =
      greedy ? Choice{sampler.most_probable(distribution)} : sampler.draw(distribution, task.draws[row]);
  task.ids[row] = choice.id;
  if (task.sampled_log_probabilities) task.sampled_log_probabilities[row] = choice.log_probability;
  if (task.log_probabilities) {
    task.log_probabilities[row] = model_log_probability(sampler, task, row, choice.id, distribution);
  }
  if (task.append.ids) append(task.append, row, choice.id);
}

}  // namespace

void sample_cpu(Context& context, const SamplingTask& task) {
  const auto& backend = cpu(context);
  const SamplingKernels& kernels = best_of(backend.isa, v3::sampling_kernels, v4::sampling_kernels);
  const int64_t columns = task.logits.columns, threads = std::min<int64_t>(backend.threads, task.logits.rows);
  const size_t bytes = Workspace::bytes(columns);
  auto* scratch = static_cast<char*>(context.scratch(threads * bytes));
  parallel_for(backend.threads, task.logits.rows, 1, [&](int64_t row, int64_t, int thread) {
    sample_row(RowSampler(kernels, task.params, Workspace(scratch + thread * bytes, columns)), task, row);
  });
}

}  // namespace sartor::cuda

#include "generation/decoding/beam_strategy.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "core/cpu_backend.h"
#include "core/parallel_for.h"

namespace sartor::inference {
namespace {

// y = x - log(sum of e^x), for one row.
void log_softmax_row(const float* x, int64_t size, float* y) {
  const float largest = *std::max_element(x, x + size);
  double sum = 0;
  for (int64_t i = 0; i < size; i++) sum += std::exp(x[i] - largest);
  const auto log_sum = static_cast<float>(std::log(sum));
  for (int64_t i = 0; i < size; i++) y[i] = x[i] - largest - log_sum;
}

}  // namespace

BeamStrategy::BeamStrategy(const WriterParts& parts, const TokenSequences& banned)
    : parts_(parts), processors_(parts.decoder.context(), parts.config, banned, parts.end_ids) {}

BeamRules BeamStrategy::rules() const { return {&parts_.config, parts_.end_ids, &parts_.tokenizer, &parts_.stops}; }

void BeamStrategy::prepare(Request& request) { request.search = std::make_unique<BeamSearch>(rules()); }

void BeamStrategy::advance(cuda::Rows<float> logits) {
  histories_.clear();
  std::vector<Beams> all;
  for (const auto& item : parts_.scheduler.items()) {
    if (!item.has_logits) continue;
    if (all.empty() || all.back().request != item.request) all.push_back({item.request, std::ssize(histories_), 0});
    all.back().rows++;
    histories_.push_back({item.request->sequences[item.sequence].ids, item.request->prompt});
  }
  if (all.empty()) return;
  auto* accelerator = parts_.decoder.accelerator();
  accelerator ? advance_on(*accelerator, logits, all) : advance_on_host(logits, all);
}

void BeamStrategy::advance_on_host(cuda::Rows<const float> logits, std::span<const Beams> all) {
  const auto log_probabilities = log_softmax(logits);
  const auto processed = processors_.apply(log_probabilities, processors_.collect(histories_).data());
  for (const auto& [request, first, rows] : all) {
    const auto rows_of = [&](cuda::Rows<const float> values) {
      return cuda::Rows<const float>{values.row(first), rows, values.columns};
    };
    go_on(request, request->search->advance(rows_of(log_probabilities), rows_of(processed), request->sequences,
                                            request->prompt));
  }
}

void BeamStrategy::advance_on(gpt::Accelerator& device, cuda::Rows<const float> logits, std::span<const Beams> all) {
  const auto log_probabilities = device.log_softmax(logits);
  const auto collected = processors_.collect(histories_);
  gpt::Accelerator::Sent sent;
  if (!collected.empty()) sent = device.send(std::array{std::as_bytes(collected)});
  auto* stored = collected.empty() ? nullptr : static_cast<int32_t*>(sent.arrays.front());
  const auto processed = processors_.apply(log_probabilities, stored);
  const int64_t best = rules().candidates();
  const auto tokens = device.largest(processed, log_probabilities, best);
  std::vector<BeamSearch::Candidate> candidates;
  for (const auto& [request, first, rows] : all) {
    candidates.clear();
    for (int64_t i = 0; i < rows * best; i++) {
      const auto& [id, value, log_probability] = tokens[first * best + i];
      candidates.push_back({static_cast<int32_t>(i / best), id, log_probability, value});
    }
    go_on(request, request->search->advance(candidates, request->sequences, request->prompt));
  }
}

cuda::Rows<float> BeamStrategy::log_softmax(cuda::Rows<const float> logits) {
  const int64_t size = logits.rows * logits.columns;
  log_probabilities_.resize(std::max(log_probabilities_.size(), static_cast<size_t>(size)));
  const cuda::Rows<float> result{log_probabilities_.data(), logits.rows, logits.columns};
  cuda::parallel_for(cuda::cpu(parts_.decoder.context()).threads, logits.rows, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) log_softmax_row(logits.row(r), logits.columns, result.row(r));
  });
  return result;
}

void BeamStrategy::go_on(const RequestPtr& request, std::span<const BeamSearch::Continuation> beams) {
  if (beams.empty()) {
    finish(request);
  } else {
    take_beams(*request, beams);
  }
}

void BeamStrategy::take_beams(Request& request, std::span<const BeamSearch::Continuation> beams) {
  next_.resize(beams.size());
  for (size_t i = 0; i < beams.size(); i++) {
    next_[i] = request.sequences[beams[i].parent];
    next_[i].ids.push_back(beams[i].token);
    parts_.cache.share(next_[i]);
  }
  std::swap(request.sequences, next_);
  for (auto& sequence : next_) parts_.cache.release(sequence);
}

void BeamStrategy::finish(const RequestPtr& request) {
  parts_.scheduler.remove(*request);
  const auto& hypotheses = request->search->finished();
  const auto count = std::min<size_t>(hypotheses.size(), request->variants);
  for (size_t i = 0; i < count; i++) {
    Written result = written(*request, hypotheses[i]);
    result.variant = request->variant + static_cast<int32_t>(i);
    parts_.counts.written_tokens += std::ssize(result.ids);
    if (piece) piece(result.text);
    deliver(std::move(result));
  }
}

Written BeamStrategy::written(const Request& request, const BeamSearch::Hypothesis& hypothesis) const {
  TextBuilder text(parts_.tokenizer, parts_.stops);
  bool stopped = false;
  for (const int32_t id : hypothesis.ids) {
    if (stopped || std::ranges::binary_search(parts_.end_ids, id)) break;
    stopped = text.add(id);
  }
  if (!stopped) text.finish();
  return {.row = request.row,
          .ids = hypothesis.ids,
          .text = text.text(),
          .log_probability = hypothesis.log_probability,
          .score = hypothesis.score,
          .end = hypothesis.end};
}

}  // namespace sartor::inference

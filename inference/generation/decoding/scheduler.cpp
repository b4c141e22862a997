#include "generation/decoding/scheduler.h"

#include <algorithm>
#include <cassert>

namespace sartor::inference {

void Scheduler::plan(const std::function<RequestPtr()>& next) {
  items_.clear();
  chunks_.clear();
  has_interrupted_ = false;
  int64_t budget = limits_.prefill_tokens;
  // Interruptions shorten running_ at its end.
  for (size_t i = 0; i < running_.size(); i++) plan_next_token(RequestPtr(running_[i]));
  for (size_t i = 0; i < running_.size() && budget > 0; i++) plan_prompt(running_[i], budget);
  // An interrupted request may still lack a token that only the device knows.
  if (!has_interrupted_) admit(next, budget);
}

void Scheduler::plan_next_token(const RequestPtr& request) {
  const auto& front = request->sequences.front();
  if (front.length() - front.cached != 1 || request->written() == request->max_new_tokens) return;
  for (auto& sequence : request->sequences) {
    while (!cache_.extend(sequence)) {
      if (!make_room(*request)) return;
    }
  }
  for (int64_t i = 0; i < std::ssize(request->sequences); i++) add_item(request, i, 1, true);
}

void Scheduler::plan_prompt(const RequestPtr& request, int64_t& budget) {
  const auto& sequence = request->sequences.front();
  const int64_t rest = sequence.length() - sequence.cached;
  if (rest <= 1) return;
  const int64_t tokens = std::min(rest, budget);
  budget -= tokens;
  add_item(request, 0, tokens, tokens == rest);
}

void Scheduler::add_item(const RequestPtr& request, int64_t index, int64_t tokens, bool has_logits) {
  auto& sequence = request->sequences[index];
  const int64_t first = sequence.cached;
  sequence.cached += tokens;
  if (first < request->prefill_end) counts_.prefilled_tokens += tokens;
  items_.push_back({request, index, first, has_logits});
  const std::span ids(sequence.ids);
  chunks_.push_back({.ids = first < std::ssize(ids) ? ids.subspan(first, tokens) : std::span<int32_t>(),
                     .slot = request->number,
                     .first = first,
                     .blocks = std::span(sequence.blocks).first(blocks_for(sequence.cached)),
                     .logits = has_logits});
}

void Scheduler::set_running() {
  for (const auto& item : items_) {
    if (item.first < item.request->prefill_end) {
      cache_.set_computed(item.request->sequences[item.sequence], item.first);
    }
  }
}

void Scheduler::admit(const std::function<RequestPtr()>& next, int64_t& budget) {
  while (budget > 0 && free_slots() > 0 && !has_interrupted_) {
    if (waiting_.empty()) {
      RequestPtr request = next();
      if (!request) return;
      waiting_.push_back(std::move(request));
    }
    if (!start(*waiting_.front())) return;
    const auto& request = running_.emplace_back(std::move(waiting_.front()));
    waiting_.pop_front();
    const auto& sequence = request->sequences.front();
    if (sequence.length() - sequence.cached == 1) {
      plan_next_token(RequestPtr(request));
    } else {
      plan_prompt(request, budget);
    }
  }
}

bool Scheduler::start(Request& request) {
  const int64_t free = free_slots();
  if (num_beams_ > free && !running_.empty()) return false;
  if (!start_in_cache(request)) return false;
  request.prefill_end = std::ssize(request.sequences.front().ids);
  request.slots = num_beams_ > 1 ? num_beams_ : std::min<int64_t>(free, request.variants);
  return true;
}

bool Scheduler::start_in_cache(Request& request) {
  auto& sequence = request.sequences.front();
  const int64_t reserve = running_sequences();  // a block for each of them, so that interruptions are rare
  if (!sequence.blocks.empty()) return running_.empty() || cache_.pool().available() > reserve;
  auto result = cache_.start(sequence, reserve);
  if (result == SequenceCache::Start::no_room && running_.empty() && release_waiting()) {
    result = cache_.start(sequence, reserve);
  }
  assert(result == SequenceCache::Start::started || !running_.empty());
  if (result != SequenceCache::Start::started) return false;
  counts_.shared_tokens += sequence.cached;
  return true;
}

bool Scheduler::make_room(const Request& request) {
  if (release_waiting()) return true;
  const bool is_youngest = running_.back().get() == &request;
  interrupt_youngest();
  return !is_youngest;
}

bool Scheduler::release_waiting() {
  bool released = false;
  for (const auto& request : waiting_) {
    if (request->sequences.front().blocks.empty()) continue;
    release(*request);
    released = true;
  }
  return released;
}

void Scheduler::interrupt_youngest() {
  release(*running_.back());
  running_.back()->slots = 0;
  waiting_.push_front(std::move(running_.back()));
  running_.pop_back();
  has_interrupted_ = true;
  counts_.preemptions++;
}

// Beam search begins again, since its beams cannot be computed from one prompt.
void Scheduler::release(Request& request) {
  for (auto& sequence : request.sequences) cache_.release(sequence);
  if (!request.search) return;
  request.search->restart();
  request.sequences.resize(1);
  request.sequences.front().ids.resize(request.prompt);
}

void Scheduler::add_running(const Request& parent, RequestPtr request) {
  const auto place = std::ranges::find(running_, &parent, &RequestPtr::get);
  (*place)->slots--;
  request->slots = 1;
  request->prefill_end = parent.prefill_end;
  running_.insert(place + 1, std::move(request));
}

void Scheduler::remove(const Request& request) {
  const auto remove_from = [&](auto& requests) {
    const auto place = std::ranges::find(requests, &request, &RequestPtr::get);
    if (place == requests.end()) return;
    const RequestPtr removed = std::move(*place);
    requests.erase(place);
    for (auto& sequence : removed->sequences) cache_.release(sequence);
  };
  remove_from(running_);
  remove_from(waiting_);
}

void Scheduler::clear() {
  items_.clear();
  chunks_.clear();
  for (const auto& request : running_) release(*request);
  for (const auto& request : waiting_) release(*request);
  running_.clear();
  waiting_.clear();
}

int64_t Scheduler::free_slots() const {
  int64_t used = 0;
  for (const auto& request : running_) used += request->slots;
  return limits_.max_sequences - used;
}

int64_t Scheduler::running_sequences() const {
  int64_t sequences = 0;
  for (const auto& request : running_) sequences += request->slots;
  return sequences;
}

}  // namespace sartor::inference

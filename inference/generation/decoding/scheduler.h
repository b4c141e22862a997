// Decides which tokens the next step computes.
#pragma once

#include <deque>
#include <functional>
#include <span>
#include <vector>

#include "generation/decoding/request.h"
#include "generation/text_writer.h"

namespace sartor::inference {

// Continuous batching: requests join as soon as others leave. A step computes the next token of each running request,
// and beyond that up to limits.prefill_tokens tokens of prompts, the oldest requests first. If the cache is full, the
// youngest requests are interrupted and computed again later.
class Scheduler {
 public:
  // Requests of one job all have num_beams beams. The cache has room for any of them alone.
  Scheduler(SequenceCache& cache, const WriterLimits& limits, int64_t num_beams, WriterCounts& counts)
      : cache_(cache), limits_(limits), num_beams_(num_beams), counts_(counts) {}

  // A chunk of a request's sequence.
  struct Item {
    RequestPtr request;
    int64_t sequence;
    int64_t first;  // position
    bool has_logits;
  };

  // Plans a step. Calls `next` for another request, null if there is none, while there is room for more.
  void plan(const std::function<RequestPtr()>& next);
  std::span<const Item> items() const { return items_; }
  std::span<const gpt::DecoderChunk> chunks() const { return chunks_; }
  // The planned step runs on the device.
  void set_running();

  // Adds a request that is next in line.
  void add(RequestPtr request) { waiting_.push_front(std::move(request)); }
  // Adds a request that has blocks and takes one of the slots of `parent`, which is running.
  void add_running(const Request& parent, RequestPtr request);
  // Removes a request and gives its blocks back.
  void remove(const Request& request);
  void clear();
  bool is_empty() const { return running_.empty() && waiting_.empty(); }

 private:
  int64_t free_slots() const;
  int64_t running_sequences() const;

  void plan_next_token(const RequestPtr& request);
  void plan_prompt(const RequestPtr& request, int64_t& budget);
  void add_item(const RequestPtr& request, int64_t sequence, int64_t tokens, bool has_logits);
  void admit(const std::function<RequestPtr()>& next, int64_t& budget);
  bool start(Request& request);
  bool start_in_cache(Request& request);
  // Frees blocks for `request`, which is running. Returns false if it had to be interrupted itself.
  bool make_room(const Request& request);
  bool release_waiting();
  void interrupt_youngest();
  void release(Request& request);

  SequenceCache& cache_;
  WriterLimits limits_;
  int64_t num_beams_;
  WriterCounts& counts_;
  std::deque<RequestPtr> waiting_;
  std::vector<RequestPtr> running_;  // the oldest first
  bool has_interrupted_ = false;     // in this step
  std::vector<Item> items_;
  std::vector<gpt::DecoderChunk> chunks_;
};

}  // namespace sartor::inference

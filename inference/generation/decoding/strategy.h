// How the next tokens follow from logits: by sampling or by beam search.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/views.h"
#include "generation/decoding/scheduler.h"
#include "generation/text_writer.h"

namespace sartor::inference {

// What the parts of a writer share. The referenced objects outlive the strategy.
struct WriterParts {
  gpt::Decoder& decoder;
  const text::Tokenizer& tokenizer;
  const DecodingConfig& config;
  const std::vector<int32_t>& end_ids;
  const StopStrings& stops;
  SequenceCache& cache;
  Scheduler& scheduler;
  WriterCounts& counts;
};

class Strategy {
 public:
  virtual ~Strategy() = default;

  // Called once for each request, before it is scheduled.
  virtual void prepare(Request&) {}
  // The ids that were chosen last, in the memory of the decoder's device, if the host does not know them.
  virtual const int32_t* last_ids() const { return nullptr; }
  // Continues the requests of the scheduler's planned step, given the logits of its items that have some.
  virtual void advance(cuda::Rows<float> logits) = 0;
  // Waits for tokens that the host does not know yet. Returns whether there were any.
  virtual bool settle() { return false; }
  virtual void clear() {}

  // Takes complete texts, and pieces of texts (may be null).
  std::function<void(Written)> deliver;
  TextWriter::Piece piece;
};

}  // namespace sartor::inference

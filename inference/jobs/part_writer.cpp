#include "jobs/part_writer.h"

namespace sartor::inference {

void PartWriter::open(int64_t part) {
  if (part_ == part) return;
  output_.begin(parts_.part(part));
  part_ = part;
}

datasets::Rejects& PartWriter::rejects() {
  if (!rejects_) rejects_.emplace(parts_.rejects(*part_));
  return *rejects_;
}

void PartWriter::close() {
  if (rejects_) rejects_->finish();  // before the output, whose existence marks the part as done
  rejects_.reset();
  output_.end();
  part_.reset();
}

}  // namespace sartor::inference

// The ranks of a run as peers of an operation.
#pragma once

#include "core/peers.h"
#include "runtime/collective.h"

namespace sartor {

class RankPeers : public cuda::Peers {
 public:
  explicit RankPeers(Collective& ranks) : ranks_(ranks) {}

  int rank() const override { return ranks_.rank(); }
  int size() const override { return ranks_.size(); }
  void gather(std::span<float> all, std::span<const int64_t> bounds) override { ranks_.gather(all, bounds); }
  void gather(std::span<int32_t> all, std::span<const int64_t> bounds) override { ranks_.gather(all, bounds); }

 private:
  Collective& ranks_;
};

}  // namespace sartor

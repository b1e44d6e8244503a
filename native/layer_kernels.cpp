#include "layer_kernels.h"

#include <algorithm>
#include <cstring>

namespace trine {
namespace {

// Tokens of one piece: as many as the GEMM takes at once. More would only cost memory.
constexpr std::size_t kPieceTokens = 264;

template <class T>
void grow(std::vector<T>& room, std::size_t n) {
  if (room.size() < n) room.resize(n);
}

}  // namespace

// Norm and quantisation of tokens, one after the other, by one worker.
class LayerKernels::Norm {
 public:
  Norm(const Ops& ops, const NormView& norm, std::size_t n, QuantisedTokens& to, Worker& own)
      : ops_(ops), norm_(norm), n_(n), to_(to), own_(own) {}

  // Of a row of another type.
  void run(std::size_t token, const FloatView& from, std::size_t row) {
    ops_.decoder.widen[from.type](from.at(row * n_), n_, own_.row.data());
    run(token, own_.row.data());
  }

  void run(std::size_t token, const float* from) {
    const float* values = from;
    if (norm_.present()) {
      if (!widened_) {
        ops_.decoder.widen[norm_.weight.type](norm_.weight.data, n_, own_.weight.data());
        widened_ = true;
      }
      ops_.decoder.rms_norm(from, own_.weight.data(), n_, norm_.eps, own_.values.data());
      values = own_.values.data();
    }
    to_.quantise(token, values);
  }

 private:
  const Ops& ops_;
  const NormView& norm_;
  std::size_t n_;
  QuantisedTokens& to_;
  Worker& own_;
  bool widened_ = false;
};

LayerKernels::LayerKernels(const Ops& ops, Pool& pool) : ops_(ops), pool_(pool) {
  for (int worker = 0; worker < pool.threads(); ++worker) workers_.emplace_back(ops);
  for (std::size_t stage = 0; stage < kStages; ++stage) quantised_.emplace_back(ops, 1, 1);
}

void LayerKernels::begin(std::size_t stage, std::size_t tokens, const TernaryMatrix& matrix) {
  quantised_[stage].reserve(tokens, matrix.k);
  quantised_[stage].begin(matrix.code, tokens, matrix.k);
}

void LayerKernels::workers_room(std::size_t n) {
  for (Worker& worker : workers_) {
    grow(worker.row, n);
    grow(worker.weight, n);
    grow(worker.values, n);
  }
}

void LayerKernels::qkv(const QkvCall& call) {
  const std::lock_guard<std::mutex> lock(one_call_);
  const std::size_t all = call.sequences * call.length;
  for (std::size_t first = 0; first < all; first += kPieceTokens) {
    qkv_piece(call, first, std::min(kPieceTokens, all - first));
  }
}

void LayerKernels::qkv_piece(const QkvCall& call, std::size_t first, std::size_t tokens) {
  const std::size_t k = call.linears[0].matrix.k;
  std::size_t start[kQkvs];
  std::size_t width = 0;
  for (std::size_t i = 0; i < kQkvs; ++i) {
    start[i] = width;
    width += call.linears[i].rows;
  }
  QuantisedTokens& quantised = quantised_[0];
  begin(0, tokens, call.linears[0].matrix);
  grow(floats_, tokens * width);
  workers_room(std::max(k, call.head_dim));
  const Multiplication products[kQkvs] = {{ops_, call.linears[0].matrix, quantised},
                                          {ops_, call.linears[1].matrix, quantised},
                                          {ops_, call.linears[2].matrix, quantised}};
  std::vector<Items> items = items_of(pool_.threads(), kQkvs + 2);
  pool_.run([&](int worker) {
    Worker& own = workers_[static_cast<std::size_t>(worker)];
    Norm norm(ops_, call.norm, k, quantised, own);
    quantised.fill(items[kQkvs], [&](std::size_t t) { norm.run(t, call.x, first + t); });
    pool_.barrier();
    for (std::size_t i = 0; i < kQkvs; ++i) {
      const LinearView& linear = call.linears[i];
      products[i].work(worker, items[i], own.scratch, [&](const Block& block) {
        dequantise(block, linear, quantised, ops_.decoder.dequantise, floats_.data() + start[i],
                   width);
      });
    }
    pool_.barrier();
    for (std::size_t t = items[kQkvs + 1].take(); t < tokens; t = items[kQkvs + 1].take()) {
      float* values = floats_.data() + t * width;
      rotate(call, first + t, values, own);
      for (std::size_t i = 0; i < kQkvs; ++i) write_heads(call, i, first + t, values + start[i]);
    }
  });
}

template <class Write>
void LayerKernels::dequantise(const Block& block, const LinearView& linear,
                              const QuantisedTokens& quantised, const Write& write, float* out,
                              std::size_t stride) const {
  const std::size_t row = block.first_tile * kTileRows;
  const std::size_t n = std::min(block.tiles * kTileRows, linear.rows - row);
  for (std::size_t t = 0; t < block.tokens; ++t) {
    const std::size_t token = block.first_token + t;
    write(block.sums + t * block.stride, n, linear.scale, quantised.scales()[token],
          out + token * stride + row);
  }
}

// Of the heads of q and k, which stand next to each other.
void LayerKernels::rotate(const QkvCall& call, std::size_t token, float* values,
                          Worker& own) const {
  const std::size_t half = call.head_dim / 2;
  const std::size_t place = call.own_positions ? token : token % call.length;
  float* cos = own.values.data();
  float* sin = cos + half;
  ops_.decoder.widen[call.cos.type](call.cos.at(place * call.head_dim), half, cos);
  ops_.decoder.widen[call.sin.type](call.sin.at(place * call.head_dim), half, sin);
  const std::size_t rows = call.linears[0].rows + call.linears[1].rows;
  for (std::size_t row = 0; row < rows; row += call.head_dim) {
    ops_.decoder.rope(values + row, cos, sin, half);
  }
}

void LayerKernels::write_heads(const QkvCall& call, std::size_t which, std::size_t token,
                               const float* values) const {
  const FloatOut& out = call.out[which];
  const std::size_t heads = call.linears[which].rows / call.head_dim;
  const std::size_t sequence = token / call.length;
  for (std::size_t head = 0; head < heads; ++head) {
    const std::size_t row = (sequence * heads + head) * call.length + token % call.length;
    narrow(ops_, values + head * call.head_dim, call.head_dim, out.type,
           out.at(row * call.head_dim));
  }
}

void LayerKernels::output_mlp(const OutputMlpCall& call) {
  const std::lock_guard<std::mutex> lock(one_call_);
  for (std::size_t first = 0; first < call.tokens; first += kPieceTokens) {
    output_mlp_piece(call, first, std::min(kPieceTokens, call.tokens - first));
  }
}

void LayerKernels::output_mlp_piece(const OutputMlpCall& call, std::size_t first,
                                    std::size_t tokens) {
  const std::size_t hidden = call.output.rows;
  const std::size_t mixed = call.output.matrix.k;
  const std::size_t ffn = call.gate.rows;
  begin(0, tokens, call.output.matrix);
  begin(1, tokens, call.gate.matrix);
  begin(2, tokens, call.down.matrix);
  grow(floats_, tokens * hidden);
  grow(sums_, 2 * tokens * ffn);
  workers_room(std::max({hidden, mixed, ffn}));
  float* const x = floats_.data();
  std::int32_t* const gate = sums_.data();
  std::int32_t* const up = gate + tokens * ffn;
  const Multiplication output(ops_, call.output.matrix, quantised_[0]);
  const Multiplication gates(ops_, call.gate.matrix, quantised_[1]);
  const Multiplication ups(ops_, call.up.matrix, quantised_[1]);
  const Multiplication down(ops_, call.down.matrix, quantised_[2]);
  std::vector<Items> items = items_of(pool_.threads(), 8);
  const auto add_to_x = [&](const LinearView& linear, const QuantisedTokens& quantised) {
    return [&](const Block& block) {
      dequantise(block, linear, quantised, ops_.decoder.dequantise_add, x, hidden);
    };
  };
  const auto keep = [&](std::int32_t* to) {
    return [to, ffn](const Block& block) {
      const std::size_t row = block.first_tile * kTileRows;
      const std::size_t n = std::min(block.tiles * kTileRows, ffn - row);
      for (std::size_t t = 0; t < block.tokens; ++t) {
        std::memcpy(to + (block.first_token + t) * ffn + row, block.sums + t * block.stride,
                    n * sizeof(std::int32_t));
      }
    };
  };
  pool_.run([&](int worker) {
    Worker& own = workers_[static_cast<std::size_t>(worker)];
    Norm attention_norm(ops_, call.attention_norm, mixed, quantised_[0], own);
    quantised_[0].fill(items[0], [&](std::size_t t) {
      ops_.decoder.widen[call.x.type](call.x.at((first + t) * hidden), hidden, x + t * hidden);
      attention_norm.run(t, call.mixed, first + t);
    });
    pool_.barrier();
    output.work(worker, items[1], own.scratch, add_to_x(call.output, quantised_[0]));
    pool_.barrier();

    Norm post_norm(ops_, call.post_norm, hidden, quantised_[1], own);
    quantised_[1].fill(items[2], [&](std::size_t t) { post_norm.run(t, x + t * hidden); });
    pool_.barrier();
    gates.work(worker, items[3], own.scratch, keep(gate));
    ups.work(worker, items[4], own.scratch, keep(up));
    pool_.barrier();

    Norm ffn_norm(ops_, call.ffn_norm, ffn, quantised_[2], own);
    quantised_[2].fill(items[5], [&](std::size_t t) {
      ops_.decoder.dequantise_gate[call.activation](gate + t * ffn, up + t * ffn, ffn,
                                                    call.gate.scale, call.up.scale,
                                                    quantised_[1].scales()[t], own.row.data());
      ffn_norm.run(t, own.row.data());
    });
    pool_.barrier();
    down.work(worker, items[6], own.scratch, add_to_x(call.down, quantised_[2]));
    pool_.barrier();
    for (std::size_t t = items[7].take(); t < tokens; t = items[7].take()) {
      narrow(ops_, x + t * hidden, hidden, call.out.type, call.out.at((first + t) * hidden));
    }
  });
}

}  // namespace trine

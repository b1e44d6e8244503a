"""The Chinese texts about the native engine: keys as in `texts.native_en`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXT: Mapping[str, str] = MappingProxyType(
    {
        "native.title": "6. 原生引擎与 PyTorch 对比",
        "native.engine": "原生引擎",
        "native.intro": "同一模型、同样的 token 在原生引擎上运行，与 PyTorch 在相同的重复中"
        "交替进行：kernel {kernel}，主体打包 {body}，lm_head {head}（{head_dtype}），KV cache "
        "{cache}，{threads} 线程，权重 {size}，打包用时 {load}。引擎把 PyTorch 分开执行的算子"
        "融合在一起，每个步骤旁列出它所取代的算子。",
        "native.card": "原生引擎，{name}",
        "native.card.ratio": "PyTorch / 原生：{ratio}",
        "native.agreement": "6.1 端到端",
        "native.agreement.intro": "端到端逐位相等是做不到的：一个 ulp 就会翻转一个 int8 码，"
        "并逐层放大。因此引擎与 Hugging Face 的差距旁边，列出 Hugging Face 与自身的差距。引擎"
        "是否正确，由每个步骤在其自身输入上的检查来判定。",
        "native.no_agreement": "未与 Hugging Face 比较：PyTorch 没有一同运行，或运行提前结束。",
        "native.distance": "相对 Hugging Face 的 prefill",
        "native.distance.native": "原生引擎，float32 KV cache 与精确 lm_head",
        "native.distance.used": "原生引擎，本次运行所用的 KV cache 与 lm_head",
        "native.distance.cached": "Hugging Face，逐 token",
        "native.distance.nudged": "Hugging Face，embedding × (1 + ulp)",
        "native.deviation": "logits 偏差",
        "native.same": "最优 token 相同",
        "native.same_decided": "Hugging Face 有把握处",
        "native.of": "{part} / {whole}",
        "native.agreement.note": "偏差：词表上的 |a − b| / |b − mean(b)|，取各位置的中位数。"
        "有把握：最优 logit 的领先幅度超过该位置上 Hugging Face 自身差异的两倍。"
        "screened lm_head 只在它给出的行上比较。",
        "native.tokens": "贪心解码的 token，Hugging Face：{hf}；"
        "引擎（float32 KV cache、精确 lm_head）：{native}。",
        "native.refused.title": "速度不予给出",
        "native.refused": "有输出未通过数值检查，或未经检查：对应步骤以及整个前向均不给出比值。",
        "native.stage": "6.{number} {name}的算子并列",
        "native.own": "{name}：引擎自身的算子表",
        "native.step": "步骤",
        "native.replaces": "同时取代",
        "native.torch": "PyTorch (ms)",
        "native.native": "原生 (ms)",
        "native.ratio": "比值",
        "native.spread": "p10 – p90",
        "native.torch_bytes": "PyTorch 字节",
        "native.native_bytes": "原生字节",
        "native.roof": "原生占上限",
        "native.bound": "受限于",
        "native.remainder": "算子之间",
        "native.note": "毫秒与模型字节均为每次前向，各取 {passes} 次的中位数；"
        "比值 = PyTorch / 原生，取同一重复中成对前向之比的中位数。"
        "prefill 中 PyTorch 的 lm_head 计算所有位置的 logits，"
        "引擎只计算最后一个位置。上限：BitLinear 为 int8 峰值，以及数据所在的存储层级。",
        "native.findings": "关于引擎的发现",
        "native.console": "PyTorch 与原生引擎，{name}",
        "file.backend_comparison.csv": "原生引擎各步骤与其取代的算子",
    }
)

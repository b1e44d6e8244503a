"""The Chinese texts about the unit in hardware: keys as in `texts.fpga_en`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXT: Mapping[str, str] = MappingProxyType(
    {
        "fpga.title": "{number}. 硬件单元（预测）",
        "fpga.warn.title": "预测值，未在开发板上测量",
        "fpga.warn": "本节中硬件单元的数字都不是测量值：时钟数来自仿真 RTL 与存储器模型，"
        "时钟频率是假设，其依据列于下文。旁边的 CPU 时间为本次运行的实测值。",
        "fpga.intro": "TDPU 在 {part} 上执行 BitLinear 乘积与三值 lm_head：{engines} 个引擎，"
        "{code}，每遍读取权重处理 {batch} 个向量，{clock} MHz。时钟的依据："
        "单元核心在另一器件（{device}）上布线后达到 {fmax} MHz；"
        "在 {part} 上最长路径的逻辑延迟（不含布线）为 {logic} ns，占周期的 {share}。"
        "存储器供给所有端口合计 {low}、{nominal} 或 {high} GB/s（慢、标称、快）。",
        "fpga.code.2": "每个权重两比特",
        "fpga.code.3": "每字节五个权重",
        "fpga.stage": "{number}.{part} {name}的算子，后端 {backend}",
        "fpga.operator": "算子",
        "fpga.terms": "项",
        "fpga.cpu": "CPU 实测 (ms)",
        "fpga.low": "TDPU 预测，慢存储 (ms)",
        "fpga.nominal": "TDPU 预测，标称 (ms)",
        "fpga.high": "TDPU 预测，快存储 (ms)",
        "fpga.share": "占预测总和",
        "fpga.ratio": "CPU / TDPU 预测",
        "fpga.sum": "单元所执行的部分",
        "fpga.others": "其余，在 CPU 上",
        "fpga.note": "毫秒均为每次前向；— 表示单元不参与。单元的时间只含乘积本身："
        "CPU 步骤中可能包含的量化、残差与门控乘积不在其中。lm_head 为三值初筛，"
        "最优的若干行由处理器重新打分，每次前向一个 token，与 CPU 的 lm_head 工作量不同。"
        "两列属于不同的机器，其和不是任何速度。",
        "fpga.all_terms": "{number}.{part} 读取一遍权重的各项",
        "fpga.term": "项",
        "fpga.calls": "调用次数",
        "fpga.kind": "类别",
        "fpga.clocks": "每次调用的时钟数，标称",
        "fpga.formula": "来源",
        "fpga.kind.counted": "计数",
        "fpga.kind.assumed": "假设",
        "fpga.terms.note": "模型全部 {layers} 层，{batch} 个向量。计数：仿真 RTL 与存储器模型中"
        "从门铃到中断的时钟数。假设：仅由公式得出。",
        "fpga.total": "合计",
        "fpga.console": "TDPU 与 {backend}，{name}：预测值，未在开发板上测量",
        "fpga.bar": "TDPU 预测（慢存储至快存储）",
        "fpga.bar.cpu": "CPU 实测（{backend}）",
        "caption.fpga": "各算子在本机 CPU 上的实测时间与单元承担部分的预测时间（对数坐标）；"
        "细线为慢存储至快存储。",
        "alt.fpga": "各算子 CPU 实测与 TDPU 预测耗时的成对条形图",
        "file.fpga_prediction.csv": "硬件单元的预测时间与 CPU 实测时间",
    }
)

"""The Chinese texts in and around the plots: keys as in `texts.plots_en`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXT: Mapping[str, str] = MappingProxyType(
    {
        "plot.layer": "解码层",
        "plot.layers": "解码层 × {n}",
        "plot.residual": "残差",
        "plot.others": "其他 {n} 项",
        "plot.ms_log": "ms（对数坐标）",
        "plot.peak": "第 {layer} 层：{ms} ms",
        "plot.intensity": "计算强度 (OP/byte，模型值，对数坐标)",
        "plot.peak_rate": "{name} {gops} GOP/s",
        "plot.share_title": "{name}：{ms} ms",
        "plot.cold": "冷态",
        "plot.warm": "热态",
        "plot.this_run": "本次运行",
        "plot.median_others": "其余各层中位数",
        "caption.backends": "原生引擎各步骤与其取代的算子的耗时（对数坐标），旁注为比值。",
        "caption.blocks": "模型框图，由记录的顺序和名称绘出；实心框为 BitLinear，"
        "标注的是输出形状。",
        "caption.layers": "各解码层的耗时中位数，按模块堆叠。",
        "caption.shares": "热态前向的时间构成，比例以总时间的中位数为基数。",
        "caption.roofline": "各算子在本机实测上限下的位置：实心为 prefill，空心为 decode。",
        "caption.cold_warm": "各解码层的 prefill 耗时，冷态与热态对比。",
        "caption.no_font": "（未安装中文字体，图中标注为英文。）",
        "alt.backends": "各步骤 PyTorch 与原生引擎耗时的成对条形图",
        "alt.blocks": "模型框图",
        "alt.layers": "各解码层耗时堆叠柱状图",
        "alt.shares": "各算子耗时条形图",
        "alt.roofline": "标有各算子的 Roofline 图",
        "alt.cold_warm": "各层冷态与热态耗时的对数坐标图",
    }
)

// Filters: everything with data-direction, data-method, data-corruption or data-ranking obeys.
(() => {
  const bar = document.querySelector(".filters");
  if (!bar) return;
  bar.hidden = false;
  const value = (name) => bar.querySelector(`[name=${name}]`)?.value ?? "";
  const apply = () => {
    const boxes = [...bar.querySelectorAll("input[name=method]")];
    const methods = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const [direction, corruption, ranking] = ["direction", "corruption", "ranking"].map(value);
    const chosen = "[data-direction],[data-method],[data-corruption],[data-ranking]";
    for (const element of document.querySelectorAll(chosen)) {
      const own = element.dataset;
      const plot = element.classList.contains("plot");
      let shown = true;
      if (own.direction && direction) shown &&= own.direction === direction;
      if (own.method) shown &&= methods.has(own.method);
      if (own.ranking && ranking && element.closest("svg, .legend")) shown &&= own.ranking === ranking;
      if (own.corruption) {
        const all = corruption === "mean" && !plot;
        const kept = !plot && element.closest("table") && ["clean", "mean"].includes(own.corruption);
        shown &&= all || kept || own.corruption === corruption;
      }
      element.style.display = shown ? (plot ? "block" : "") : "none";
    }
    for (const figure of document.querySelectorAll("figure[data-empty]")) {
      const any = [...figure.querySelectorAll(".plot")].some((p) => p.style.display !== "none");
      figure.querySelector(".empty").hidden = any;
    }
  };
  bar.addEventListener("change", apply);
  apply();
})();

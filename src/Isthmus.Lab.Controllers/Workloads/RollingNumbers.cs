using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>How far a rolling update may go above and below the desired number of Pods.</summary>
public static class RollingNumbers
{
    /// <summary>Both limits in Pods. They are never both 0, because then no update could proceed.</summary>
    public static (int Surge, int Unavailable) Of(DeploymentSpec spec)
    {
        if (spec.Strategy.Type == "Recreate") return (0, 0);
        var replicas = spec.Replicas ?? 1;
        var surge = Resolve(spec.Strategy.RollingUpdate?.MaxSurge, replicas, roundUp: true);
        var unavailable = Resolve(spec.Strategy.RollingUpdate?.MaxUnavailable, replicas, roundUp: false);
        if (surge == 0 && unavailable == 0) unavailable = 1;
        return (surge, Math.Min(unavailable, replicas));
    }

    /// <summary>A number, or a percentage of <paramref name="total"/>; 25 % when nothing is specified.</summary>
    public static int Resolve(JsonNode? value, int total, bool roundUp)
    {
        if (value is JsonValue number && number.GetValueKind() == JsonValueKind.Number) return (int)number.GetValue<double>();
        var text = (string?)value ?? "25%";
        if (!text.EndsWith('%') || !int.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var percent)) return 0;
        var exact = (long)percent * total;
        return (int)(roundUp ? (exact + 99) / 100 : exact / 100);
    }
}

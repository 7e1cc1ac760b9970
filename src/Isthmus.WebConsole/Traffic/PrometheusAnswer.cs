using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Isthmus.WebConsole.Traffic;

/// <summary>The answer of Prometheus to an instant query (<c>/api/v1/query</c>).</summary>
internal sealed record PrometheusAnswer(string? Status, string? Error, PrometheusData? Data)
{
    private const int LongestAnswer = 8 << 20, MostRows = 20_000;

    /// <exception cref="InvalidDataException">It is too large, or not an answer of Prometheus.</exception>
    public static async Task<IReadOnlyList<PrometheusRow>> ReadAsync(Stream body, CancellationToken stop)
    {
        using var text = new MemoryStream();
        var part = new byte[16 * 1024];
        while (await body.ReadAsync(part, stop) is > 0 and var count)
        {
            if (text.Length + count > LongestAnswer) throw new InvalidDataException($"answers a question with more than {LongestAnswer >> 20} MiB");
            text.Write(part, 0, count);
        }
        PrometheusAnswer? answer;
        try
        {
            answer = JsonSerializer.Deserialize(text.GetBuffer().AsSpan(0, (int)text.Length), PrometheusJson.Default.PrometheusAnswer);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException("does not answer as Prometheus does: its answer is not the JSON of an instant query", e);
        }
        if (answer?.Status == "error") throw new InvalidDataException($"answers: {Shortened(answer.Error ?? "an error without a message")}");
        if (answer?.Data is not { ResultType: "vector", Result: { } rows }
            || rows.Any(row => row?.Metric is null || row.Value is not [_, { ValueKind: JsonValueKind.String }]))
            throw new InvalidDataException("does not answer as Prometheus does: its answer is not a vector");
        return rows.Count <= MostRows ? rows : throw new InvalidDataException($"answers a question with {rows.Count} series, more than {MostRows}");
    }

    private static string Shortened(string text) => text.Length <= 200 ? text : $"{text.AsSpan(0, 200)}…";
}

internal sealed record PrometheusData(string? ResultType, IReadOnlyList<PrometheusRow>? Result);

/// <param name="Value">A time, and a number as text.</param>
internal sealed record PrometheusRow(Dictionary<string, string>? Metric, IReadOnlyList<JsonElement>? Value)
{
    /// <summary>Null if there is nothing to compute it from, such as the latency of no requests.</summary>
    [JsonIgnore]
    public double? Number =>
        double.TryParse(Value![1].GetString(), NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) && number >= 0
            ? number
            : null;
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(PrometheusAnswer))]
internal sealed partial class PrometheusJson : JsonSerializerContext;

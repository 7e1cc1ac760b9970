using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Core.Time;

namespace Isthmus.Mesh.Config;

/// <summary>A field of an object: its value, its path and where problems are reported. An absent field reads as its default.</summary>
internal readonly record struct Field(JsonNode? Node, string Path, Findings Findings)
{
    public bool Exists => Node is not null;

    public Field this[string name] => new((Node as JsonObject)?[name], ObjectSchema.Join(Path, name), Findings);

    public IEnumerable<Field> Items
    {
        get
        {
            if (Node is not JsonArray items) yield break;
            for (var i = 0; i < items.Count; i++) yield return new(items[i], $"{Path}[{i}]", Findings);
        }
    }

    public IEnumerable<KeyValuePair<string, Field>> Members
    {
        get
        {
            if (Node is not JsonObject members) yield break;
            foreach (var (name, value) in members) yield return new(name, new(value, $"{Path}[{name}]", Findings));
        }
    }

    public string Text => Node?.GetValueKind() == JsonValueKind.String ? Node.GetValue<string>() : "";

    public bool? Flag => Node?.GetValueKind() switch { JsonValueKind.True => true, JsonValueKind.False => false, _ => null };

    public double? Number => Node?.GetValueKind() == JsonValueKind.Number
        && double.TryParse(Node.ToJsonString(), NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : null;

    public long? Integer => Number is { } number && number == Math.Floor(number) && Math.Abs(number) < 9e15 ? (long)number : null;

    /// <summary>An integer, clamped to the range; the schema has already reported values outside it.</summary>
    public int? Int => Integer is { } value ? (int)Math.Clamp(value, int.MinValue, int.MaxValue) : null;

    public uint? UInt => Integer is { } value ? (uint)Math.Clamp(value, 0, uint.MaxValue) : null;

    public ValueList<string> Texts => Items.Select(item => item.Text).ToValueList();

    public ValueMap<string> TextMap => Members.Select(member => KeyValuePair.Create(member.Key, member.Value.Text)).ToValueMap();

    /// <summary>A duration; an invalid one is reported. <paramref name="minimum"/>: the smallest allowed value.</summary>
    public TimeSpan? Duration(TimeSpan? minimum = null)
    {
        if (!Exists || Node!.GetValueKind() != JsonValueKind.String) return null;
        if (!Durations.TryParse(Text, out var value))
        {
            Error($"\"{Text}\" is not a duration", "write it like 10s, 1m30s or 250ms");
            return null;
        }
        if (minimum is { } least && value < least) Error("duration must be greater than 1ms");
        return value;
    }

    /// <summary>Whether the field has errors, in itself or below.</summary>
    public bool IsWrong => Exists && Findings.HasErrorsAt(Path);

    /// <summary>If the field has errors, promises that the caller reads it as its strictest meaning, so that the rest of the object
    /// can apply.</summary>
    public bool CloseIfWrong()
    {
        if (!IsWrong) return false;
        Findings.Close(Path);
        return true;
    }

    public void Error(string message, string remedy = "") => Findings.Error(Path, message, remedy);

    public void Warn(string message, string remedy = "") => Findings.Warn(Path, message, remedy);

    /// <summary>The field changes nothing, wherever it is.</summary>
    public void NoEffect() =>
        Findings.Warn(Path, "has no effect in Isthmus", "remove it, unless a control plane of Istio reads the object, too", WarningKind.NoEffect);

    /// <summary>The field changes nothing in this object.</summary>
    public void NoEffect(string why, string remedy) => Findings.Warn(Path, $"has no effect: {why}", remedy, WarningKind.NoEffect);

    /// <summary>The field changes nothing in this object, and would with Istio neither.</summary>
    public void Idle(string why, string remedy) => Findings.Warn(Path, $"has no effect: {why}", remedy, WarningKind.IdleAnywhere);

    /// <inheritdoc cref="Findings.OnlyEnvoys"/>
    public void OnlyEnvoys(string what, string remedy) => Findings.OnlyEnvoys(Path, what, remedy);
}

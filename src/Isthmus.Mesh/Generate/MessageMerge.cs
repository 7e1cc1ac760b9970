using System.Collections;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Wire;

namespace Isthmus.Mesh.Generate;

/// <summary>The merge of messages that EnvoyFilters mean: fields that are set replace, lists grow, messages merge; durations and wrapped
/// values are replaced as a whole.</summary>
internal static class MessageMerge
{
    public static T Clone<T>(T message) where T : IMessage => (T)message.Descriptor.Parser.ParseFrom(message.ToByteString());

    /// <summary>Merges into <paramref name="target"/>. Parts of <paramref name="source"/> become parts of it.</summary>
    /// <param name="replaceLists">Lists that have items replace, also in messages that merge.</param>
    public static void Into(IMessage target, IMessage source, bool replaceLists = false)
    {
        foreach (var field in source.Descriptor.Fields.InDeclarationOrder())
        {
            var value = field.Accessor.GetValue(source);
            if (field.IsMap)
            {
                var entries = (IDictionary)field.Accessor.GetValue(target);
                foreach (DictionaryEntry entry in (IDictionary)value) entries[entry.Key] = entry.Value;
            }
            else if (field.IsRepeated)
            {
                var items = (IList)field.Accessor.GetValue(target);
                if (replaceLists && ((IList)value).Count > 0) items.Clear();
                foreach (var item in (IList)value) items.Add(item);
            }
            else if (IsSet(field, source, value))
            {
                if (value is IMessage message and not (Duration or Any) && field.Accessor.GetValue(target) is IMessage known)
                    Into(known, message, replaceLists);
                else field.Accessor.SetValue(target, value);
            }
        }
    }

    /// <summary>Merges typed configuration of the same type; null when the types differ.</summary>
    public static Any? Merged(Any target, Any source)
    {
        var name = Any.GetTypeName(target.TypeUrl);
        if (name != Any.GetTypeName(source.TypeUrl) || WireTypes.Registry.Find(name) is not { } type) return null;
        var merged = type.Parser.ParseFrom(target.Value);
        Into(merged, type.Parser.ParseFrom(source.Value));
        return TypeNames.Pack(merged);
    }

    private static bool IsSet(FieldDescriptor field, IMessage source, object? value) =>
        field.HasPresence ? field.Accessor.HasValue(source) : value switch
        {
            string text => text.Length > 0,
            ByteString bytes => !bytes.IsEmpty,
            bool flag => flag,
            System.Enum item => Convert.ToInt32(item, System.Globalization.CultureInfo.InvariantCulture) != 0,
            IConvertible number => Convert.ToDouble(number, System.Globalization.CultureInfo.InvariantCulture) != 0,
            _ => value is not null,
        };
}
